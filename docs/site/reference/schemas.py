"""Our own Avro schemas, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docs.site.markdown import code, codes, page, prose, table
from schemas import catalogue
from sluice import topics
from sluice.model import PartnerId

_PARTNER = PartnerId("<id>")
CARRIED: Mapping[str, str] = {
    **topics.OWN_SCHEMAS,
    topics.control(_PARTNER): "control",
    topics.returns(_PARTNER): "partner_return",
    topics.requests(_PARTNER): "provider_request",
    topics.replies(_PARTNER): "provider_reply",
}
"""The schema by the topic that carries it. What partners read of customers is made of their contracts."""
_COMPATIBILITY: Mapping[catalogue.Compatibility, str] = {
    "BACKWARD_TRANSITIVE": "new readers read all old data",
    "FORWARD_TRANSITIVE": "all old readers read new data",
    "FULL_TRANSITIVE": "new readers read all old data, and all old readers read new data",
}
_Json = dict[str, Any]


def schemas() -> str:
    """The page."""
    return page(
        "# Schemas",
        prose(
            "The newest version of each. A field with dots lies within another; `[]` is each of an array, `{}` each "
            "value of a map."
        ),
        *(part for name in catalogue.names() for part in _told(name)),
    )


def _told(name: str) -> Iterator[str]:
    schema: _Json = json.loads(catalogue.text(name))
    level = catalogue.compatibility(name)
    numbers = catalogue.versions(name)
    yield f"## {code(name)}"
    yield prose(schema["doc"])
    yield table(
        ("record", "topics", "version", "compatibility"),
        [
            (
                code(f"{schema['namespace']}.{schema['name']}"),
                codes(topic for topic, carried in CARRIED.items() if carried == name),
                f"{numbers[-1]} of {len(numbers)}" if len(numbers) > 1 else str(numbers[-1]),
                f"{code(level)}: {_COMPATIBILITY[level]}",
            )
        ],
    )
    yield table(("field", "type", "default", "category", "meaning"), _rows(schema["fields"], ""))


def _rows(fields: list[_Json], above: str) -> Iterator[tuple[str, str, str, str, str]]:
    for field in fields:
        path = above + field["name"]
        default = code(json.dumps(field["default"])) if "default" in field else ""
        docs = [field["doc"], *(doc for doc in _inner_docs(field["type"]) if doc != field["doc"])]
        yield code(path), prose(_type(field["type"])), default, code(field["data_category"]), prose(" ".join(docs))
        for place, record in _records(field["type"], path):
            yield from _rows(record["fields"], f"{place}.")


def _type(avro: Any) -> str:  # noqa: ANN401 - JSON
    """In words, with names and symbols as code."""
    match avro:
        case list():
            told = " or ".join(map(_type, avro))
        case str():
            told = avro
        case {"logicalType": logical, "type": kind}:
            told = f"{kind} ({logical})"
        case {"type": "array", "items": inner}:
            told = f"array of {_type(inner)}"
        case {"type": "map", "values": inner}:
            told = f"map of {_type(inner)}"
        case {"type": "enum", "symbols": symbols}:
            told = f"one of {codes(symbols)}"
        case {"type": "record", "name": name}:
            told = f"record `{name}`"
        case _:
            told = _type(avro["type"])
    return told


def _records(avro: Any, place: str) -> Iterator[tuple[str, _Json]]:  # noqa: ANN401 - JSON
    """Those within a type, each with the place of its fields."""
    match avro:
        case list():
            for branch in avro:
                yield from _records(branch, place)
        case {"type": "array", "items": inner}:
            yield from _records(inner, f"{place}[]")
        case {"type": "map", "values": inner}:
            yield from _records(inner, f"{place}{{}}")
        case {"type": "record"}:
            yield place, avro


def _inner_docs(avro: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """What named types say of themselves, such as what each symbol means."""
    match avro:
        case list():
            for branch in avro:
                yield from _inner_docs(branch)
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            yield from _inner_docs(inner)
        case {"doc": doc}:
            yield doc

"""Whether readers of a partner's records read on, by Apache's own checker: both ways, against every version."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator

import avro.compatibility
import avro.schema

_WAY_OUT = (
    "give it back its type; or end the contract, have everything recalled, remove the partner and begin it anew; or "
    "write a contract for a second partner beside this one (docs/contracts.md)"
)


def breaks(subject: str, wanted: str, versions: Iterable[str]) -> str | None:
    """Why readers of the earlier versions, or of this one, could not read on; None: they can.

    A field that goes or comes breaks nobody: every field of a partner's record is nullable with default null.
    """
    for version in versions:
        reasons = list(_reasons(wanted, version))
        if reasons:
            return f"{subject} would break who reads it: {'; '.join(reasons)}. To go on, {_WAY_OUT}"
    return None


def _reasons(wanted: str, version: str) -> Iterator[str]:
    new, old = _parsed(wanted), _parsed(version)
    if _reads(new, old) and _reads(old, new) and _means(wanted, version):
        return
    changed = list(_changed_fields(wanted, version))
    yield from changed or ("it is another record than before",)


def _reads(reader: avro.schema.Schema, writer: avro.schema.Schema) -> bool:
    result = avro.compatibility.ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    return bool(result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible)


def _means(wanted: str, version: str) -> bool:
    """Whether fields of both stand for the same: to Avro a date is a number of days, and a year is a number too."""
    new, old = _types(wanted), _types(version)
    return all(_logical(new[name]) == _logical(old[name]) for name in new.keys() & old.keys())


def _logical(avro_type: object) -> list[str]:
    branches = avro_type if isinstance(avro_type, list) else [avro_type]
    return [one["logicalType"] for one in branches if isinstance(one, dict) and "logicalType" in one]


def _changed_fields(wanted: str, version: str) -> Iterator[str]:
    new, old = _types(wanted), _types(version)
    for name in sorted(new.keys() & old.keys()):
        if new[name] != old[name]:
            yield f"the field `{name}` changes from {_written(old[name])} to {_written(new[name])}"


def _types(text: str) -> dict[str, object]:
    return {field["name"]: field["type"] for field in json.loads(text).get("fields", ())}


def _written(avro_type: object) -> str:
    """Without the null that every field may be."""
    branches = [one for one in avro_type if one != "null"] if isinstance(avro_type, list) else [avro_type]
    names = [
        one if isinstance(one, str) else str(one.get("logicalType") or one.get("name") or one["type"])
        for one in branches
        if isinstance(one, str | dict)
    ]
    return " or ".join(names)


def _parsed(text: str) -> avro.schema.Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logical types that the library does not know are types all the same
        return avro.schema.parse(text)

"""JSON Schema of contracts, for editors: a contract is completed and checked while it is typed.

Made from the contract's model and the vocabulary. It is looser than the check: what depends on several parts of a
contract, on data categories or on the time-zone database is seen only when the contract is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sluice import vocabulary
from sluice.contract.document import JURISDICTION, RESERVED, Contract
from sluice.law.pack import Law
from sluice.redaction import TRANSFORMS, Rule
from sluice.source_schema import Leaf, SourceSchema
from sluice.source_schema.place import ANY

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest that the YAML language server understands in full."""
_TRANSFORM: Schema = {"$ref": "#/$defs/Transform"}
_STEP = r"[^.\[\]=]+(\[[^\[\]]+\])?"
_RANGE: Schema = {
    "minProperties": 1,
    "allOf": [{"not": {"required": ["at_least", "above"]}}, {"not": {"required": ["at_most", "below"]}}],
}
_BRANDING: Schema = {
    "if": {"properties": {"recipient": {"const": "group_company"}}, "required": ["recipient"]},
    "then": {"required": ["same_branding"]},
    "else": {"not": {"required": ["same_branding"]}},
}


def editor_schema(law: Law, source: SourceSchema | None = None) -> Schema:
    """The schema; with a source schema, only its field paths can be listed."""
    schema = _without_titles(Contract.model_json_schema(by_alias=True))
    del schema["$defs"]["Rule"]
    schema["$defs"] |= {"Transform": _transforms()}
    for name in ("Range", "AgeBounds"):
        schema["$defs"][name] |= _RANGE
    schema["$defs"]["Controller"]["properties"]["jurisdiction"]["pattern"] = f"^{JURISDICTION.pattern}$"
    _add_words(schema["properties"], law)
    _add_paths(schema["properties"], source)
    return {"$schema": DRAFT, "title": "Sluice contract", **schema, **_BRANDING}


def _add_words(properties: Schema, law: Law) -> None:
    obligations = vocabulary.obligations()
    properties["partner"]["not"] = {"enum": sorted(RESERVED)}
    properties["purpose"]["enum"] = sorted(vocabulary.purposes())
    properties["country"]["enum"] = sorted(vocabulary.countries())
    properties["evidence"]["items"]["enum"] = sorted(law.evidence_words)
    properties["alt_basis"]["items"]["enum"] = sorted(law.alt_bases)
    properties["special_categories"]["items"]["enum"] = sorted(vocabulary.data_categories())
    properties["obligations"]["items"] |= {"enum": list(obligations), "enumDescriptions": list(obligations.values())}


def _add_paths(properties: Schema, source: SourceSchema | None) -> None:
    fields, where = properties["fields"], properties["where"]
    condition = where.pop("additionalProperties")
    fields.pop("additionalProperties")
    fields |= _by_path(source, _TRANSFORM)
    where |= _by_path(source, condition)


def _by_path(source: SourceSchema | None, value: Schema) -> Schema:
    """An object whose keys are field paths."""
    if source is None:
        return {"propertyNames": {"pattern": rf"^{_STEP}(\.{_STEP})*$"}, "additionalProperties": value}
    return {
        "properties": {leaf.path: _described(leaf, value) for leaf in source.values()},
        "patternProperties": {_pattern(leaf.path): _described(leaf, value) for leaf in source.selectable()},
        "additionalProperties": False,
    }


def _described(leaf: Leaf, value: Schema) -> Schema:
    return {"description": f"{leaf.doc} ({leaf.category})".strip(), "allOf": [value]}


def _pattern(example: str) -> str:
    """Any selector of the example's kind: by any field of an item, or any key."""
    selector = rf"\\\[\w+={ANY}\\\]"
    items = re.sub(selector, lambda _: r"\[[^\[\]=]+=[^\[\]]+\]", re.escape(example))
    return "^" + items.replace(ANY, r"[^\[\]=]+") + "$"


def _transforms() -> Schema:
    """A name alone, where all options have defaults, or one name with its options or its only value."""
    bare = {name: rule for name, rule in TRANSFORMS.items() if not _needed(rule)}
    return {
        "anyOf": [
            {"enum": list(bare), "enumDescriptions": [_sentence(rule) for rule in bare.values()]},
            {"type": "null"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": {name: _options(rule) for name, rule in TRANSFORMS.items()},
            },
        ]
    }


def _needed(rule: type[Rule]) -> list[str]:
    return [name for name, field in rule.model_fields.items() if field.is_required()]


def _options(rule: type[Rule]) -> Schema:
    options = _without_titles(rule.model_json_schema())
    written = [options] if rule.shorthand is None else [options, options["properties"][rule.shorthand]]
    return {"description": _sentence(rule), "anyOf": written}


def _sentence(rule: type[Rule]) -> str:
    return " ".join((rule.__doc__ or "").split())


def _without_titles(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Pydantic's titles repeat the keys' names."""
    if isinstance(schema, Mapping):
        return {key: _without_titles(value) for key, value in schema.items() if key != "title"}
    return [_without_titles(item) for item in schema] if _is_list(schema) else schema


def _is_list(schema: object) -> bool:
    return isinstance(schema, Iterable) and not isinstance(schema, str | Mapping)

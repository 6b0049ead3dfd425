"""The contract as a document of the Open Data Contract Standard 3.1."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sluice import vocabulary
from sluice.avro import Json
from sluice.contract.sentence import sentence
from sluice.partner_kit.substance import Field, Substance
from sluice.partner_kit.words import in_words

_LOGICAL_TYPES = {
    "decimal": "number",
    "date": "date",
    "timestamp-millis": "timestamp",
    "timestamp-micros": "timestamp",
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "bytes": "string",
    "fixed": "string",
    "string": "string",
    "enum": "string",
    "array": "array",
    "map": "object",
}
"""By Avro's logical type, or its type."""


def document(substance: Substance) -> Json:
    contract = substance.checked.contract
    limitations = [vocabulary.obligations()[word] for word in contract.obligations]
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"sluice.{substance.partner}",
        "name": f"Customers shared with {contract.name}",
        "version": str(substance.schemas[substance.customers].schema_id),
        "status": "active",
        "description": {
            "purpose": contract.purpose,
            "usage": sentence(contract),
            "limitations": " ".join(limitations) or "As the law and the contract say.",
        },
        "servers": [
            {"server": f"kafka{number}", "type": "kafka", "host": host, "format": "avro"}
            for number, host in enumerate(substance.connection.hosts, 1)
        ],
        "schema": [_schema(substance)],
        "support": [{"channel": substance.contact}],
        "roles": [{"role": substance.partner, "access": "read", "description": "Reads its own topics and no others."}],
        "slaProperties": [*_promises(substance)],
    }


def _schema(substance: Substance) -> Json:
    return {
        "name": "customers",
        "physicalName": substance.customers,
        "physicalType": "topic",
        "logicalType": "object",
        "description": "The newest record of a key counts, and a null means that its customer is recalled.",
        "dataGranularityDescription": "One record a customer, by the record's key: your pseudonym of it.",
        "properties": [_property(field) for field in substance.fields()],
    }


def _property(field: Field) -> Json:
    found = {
        "name": field.name,
        **_type(field.rule.output(field.leaf)),
        "description": field.leaf.doc,
        "required": field.rule.required,
        "classification": field.leaf.category,
        "transformDescription": in_words(field.rule),
    }
    if field.rule.required:
        found["quality"] = [{"metric": "nullValues", "mustBe": 0, "description": "Nobody is shared without it."}]
    return found


def _type(branches: tuple[Json, ...]) -> dict[str, Json]:
    """Of what is not null. The standard has no word for several types, and its schema takes no type without one."""
    names = [str(avro["type"]) if isinstance(avro, dict) else str(avro) for avro in branches]
    found: dict[str, Json] = {"physicalType": " or ".join(names), "logicalType": "object"}
    if len(branches) == 1:
        (avro,) = branches
        logical = avro.get("logicalType", "") if isinstance(avro, dict) else ""
        found["logicalType"] = _LOGICAL_TYPES.get(logical) or _LOGICAL_TYPES[names[0]]
        if names == ["array"]:
            found["items"] = _type(_without_null(avro["items"]))
    return found


def _without_null(avro: Json) -> tuple[Json, ...]:
    return tuple(branch for branch in (avro if isinstance(avro, list) else [avro]) if branch != "null")


def _promises(substance: Substance) -> Iterator[Json]:
    """What can be counted of what each side owes the other."""
    valid, limits = substance.checked.contract.valid, substance.checked.contract.limits
    yield _promise("frequency", "on change", "Written when a customer, a consent, a law or the contract changes.")
    yield _promise("generalAvailability", valid.start.isoformat(), "The first day.")
    if valid.until is not None:
        yield _promise("endOfLife", valid.until.isoformat(), "The day on which everything is recalled.")
    if limits.retain is not None:
        yield _span("retention", limits.retain, "How long after the source's last change you may hold a customer.")
    yield _span("recallDeadline", limits.acknowledge_within, "How long you have to carry out a recall and say so.")
    yield _span("tombstoneRetention", substance.nulls_stay, "How long a null stays; after a longer absence read anew.")


def _promise(name: str, value: str | float, description: str) -> dict[str, Json]:
    return {
        "property": name,
        "value": value,
        "element": "customers",
        "driver": "regulatory",
        "description": description,
    }


def _span(name: str, span: timedelta, description: str) -> Json:
    days, rest = divmod(span, timedelta(days=1))
    value, unit = (span.total_seconds(), "s") if rest else (days, "d")
    return {**_promise(name, value, description), "unit": unit}

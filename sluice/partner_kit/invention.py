"""An example of each message, invented: from schema and contract, with keys of nobody and no customer's data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice import redaction
from sluice.avro import Json
from sluice.keys import RECORD_KEY, MasterKey, PartnerKeys, pseudonym
from sluice.model import CustomerId, PartnerId
from sluice.partner_kit.substance import Field, Substance
from sluice.redaction import Customer, Target
from sluice.redaction.token import Token
from sluice.row_filter import OneOf
from sluice.source_schema import Leaf

_OF_NOBODY = bytes(32)
"""Stands for the installation's keys and for the customer's."""
_NOBODY = CustomerId("example:000001")
_DECISION = "ZXhhbXBsZS1kZWNpc2lvbg"
_AT = 1_790_000_000_000

_BY_CATEGORY: Mapping[str, Any] = {
    "user.name.first": "Hana",
    "user.name.last": "Mori",
    "user.contact.email": "hana.mori@example.com",
    "user.contact.phone_number": "+12025550123",
    "user.contact.address.street": "1 Example Street",
    "user.contact.address.city": "Exampletown",
    "user.contact.address.postal_code": "1000001",
    "user.contact.address.country": "JP",
    "user.unique_id": _NOBODY,
    "user.demographic.date_of_birth": "1990-02-03",
}
"""Texts; other categories are an `example`. The number is one that is kept free for fiction."""
_BY_TYPE: Mapping[str, Any] = {
    "boolean": True,
    "int": 7,
    "long": 7,
    "float": 35.5,
    "double": 35.5,
    "bytes": b"example",
    "string": "example",
    "date": 7_338,
    "timestamp-millis": _AT,
    "timestamp-micros": _AT * 1_000,
}
"""By logical type, or type: Avro's own values."""


def examples(substance: Substance) -> dict[str, Json]:
    """A record, its recall, what is asked for with it, and the answer: each with the key that it has."""
    key = _customer(substance).record_key
    asked = {"decision_id": _DECISION, "type": "WITHDRAW", "customer": key, "deadline": _AT + 1, "issued_at": _AT}
    action = "Delete this customer's record and every copy of it, and acknowledge."
    answer = {"return_id": f"acknowledge-{_DECISION}", "type": "ACKNOWLEDGED", "decision_id": _DECISION}
    deadline = _AT + int(substance.checked.contract.limits.acknowledge_within.total_seconds() * 1000)
    return {
        substance.customers: [{"key": key, "value": record(substance)}, {"key": key, "value": None}],
        substance.control: [{"key": key, "value": {**asked, "action": action, "deadline": deadline}}],
        substance.returns: [{"key": key, "value": {**answer, "customer": key, "at": _AT + 60_000}}],
    }


def record(substance: Substance) -> dict[str, Any]:
    """One record as the contract's transforms make it, of values that nobody has."""
    return {field.name: _redacted(field, substance) for field in substance.fields()}


def _redacted(field: Field, substance: Substance) -> object:
    if isinstance(field.rule, Token):
        return "0123456789abcdef" * 2  # a table knows real values alone
    target = Target(_keys(substance).field(field.leaf.path), field.leaf.category)
    return redaction.redact(field.rule, _value(field.leaf, substance), target, _customer(substance)).value


def _value(leaf: Leaf, substance: Substance) -> object:
    """One that passes the contract's row filter, where that names values."""
    wanted = substance.checked.contract.where.get(leaf.path)
    if isinstance(wanted, OneOf) and leaf.is_text:
        return str(wanted.values[0])
    if leaf.is_text:
        return _BY_CATEGORY.get(leaf.category, _BY_TYPE["string"])
    return _of_type(leaf.branches[0])


def _of_type(avro: Json) -> object:
    """Named types are spelled out in a leaf."""
    match avro:
        case [*branches]:
            return _of_type(next(branch for branch in branches if branch != "null"))
        case {"type": "enum", "symbols": [first, *_]}:
            return first
        case {"type": "fixed", "size": size}:
            return bytes(size)
        case {"type": "array", "items": items}:
            return [_of_type(items)]
        case {"type": "map", "values": values}:
            return {"example": _of_type(values)}
        case {"type": kind}:
            return _BY_TYPE.get(avro.get("logicalType", kind), _BY_TYPE[kind])
        case kind:
            return _BY_TYPE[kind]


def _keys(substance: Substance) -> PartnerKeys:
    return PartnerKeys.of(MasterKey(_OF_NOBODY), PartnerId(substance.partner), 1)


def _customer(substance: Substance) -> Customer:
    own = _keys(substance)
    return Customer(_NOBODY, pseudonym(own.field(RECORD_KEY).of("pseudonym"), _NOBODY), _OF_NOBODY)

"""One customer at one partner: what is disclosed, what stands in the partner's topic, what may be held. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sluice import keys
from sluice.model import Held, Millis, Pseudonym, Reason
from stream_processors.review.apache_avro import Codec, Unreadable, schema_id_in
from stream_processors.review.evidence import Delivered
from stream_processors.review.findings import Fault
from stream_processors.review.recomputing import Agreement, Allowed, Answer, Kept, Refused

_ENDED = frozenset({Reason.GRANT_EXPIRED, Reason.RETENTION_ENDED})


class Disclosed(NamedTuple):
    """What the fold of a customer's disclosures says of one partner."""

    held: Held | None
    offset: int
    """Of the newest disclosure that names the partner."""
    pseudonyms: frozenset[Pseudonym]
    """Every one under which something was ever disclosed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything about one customer at one partner."""

    agreement: Agreement | None
    disclosed: Disclosed | None
    delivered: Mapping[Pseudonym, Delivered]
    """In the partner's topic: what stands under each pseudonym that the customer may have there."""

    @property
    def held(self) -> Held | None:
        return None if self.disclosed is None else self.disclosed.held

    @property
    def record(self) -> bytes | None:
        """What the partner holds under the pseudonym that was disclosed."""
        found = None if self.held is None else self.delivered.get(self.held.pseudonym)
        return None if found is None else found.value

    @property
    def undisclosed(self) -> tuple[Pseudonym, ...]:
        """Under which there are records in the topic that no disclosure accounts for."""
        disclosed = None if self.held is None else self.held.pseudonym
        return tuple(name for name, one in self.delivered.items() if one.value is not None and name != disclosed)


@dataclass(frozen=True, slots=True)
class Comparison:
    faults: frozenset[Fault]
    fields: tuple[str, ...] = ()
    """That have another value in the partner's record."""
    values: Mapping[str, tuple[Any, Any]] = field(default_factory=dict, repr=False)
    """What they have there, and what they should have."""


def delivered_as_disclosed(standing: Standing) -> frozenset[Fault]:
    """Whether the topic is what the disclosures say, whatever may be held."""
    faults = {Fault.NOT_DISCLOSED} if standing.undisclosed else set()
    held, agreement = standing.held, standing.agreement
    if held is not None and standing.record is None:
        faults.add(Fault.MISSING_IN_TOPIC)
    elif held is not None and standing.record is not None and agreement is not None:
        digest = keys.keyed_digest(agreement.keys.digest, standing.record)
        if held.key_epoch == agreement.keys.epoch and digest != held.digest:  # of another key it says nothing
            faults.add(Fault.DIGEST_DIFFERS)
    return frozenset(faults)


def compared(standing: Standing, answer: Answer, now: Millis, codec: Codec) -> Comparison:
    """Whether what is held is what is allowed. Raises SluiceError when a schema cannot be had for now."""
    held = standing.held
    if isinstance(answer, Refused):
        return Comparison(frozenset() if held is None else frozenset({_unjustified(held, answer, now)}))
    if isinstance(answer, Kept):
        return Comparison(frozenset() if held is None else _kept_otherwise(held, answer))
    if held is None:
        return _withheld(standing, answer, codec)
    faults = {fault for fault, differs in _told_otherwise(standing, held, answer) if differs}
    if standing.record is None:
        return Comparison(frozenset(faults))
    values = _values(standing.record, answer, codec)
    return Comparison(values.faults | faults, values.fields, values.values)


def _withheld(standing: Standing, allowed: Allowed, codec: Codec) -> Comparison:
    """Nothing is disclosed. What stands in the topic all the same is compared too."""
    there = standing.delivered.get(allowed.pseudonym)
    if there is None or there.value is None:
        return Comparison(frozenset({Fault.WITHHELD_WITHOUT_REASON}))
    return _values(there.value, allowed, codec)


def _unjustified(held: Held, refused: Refused, now: Millis) -> Fault:
    ended = held.expires_at is not None and held.expires_at <= now
    return Fault.EXPIRED if ended or refused.reason in _ENDED else Fault.HELD_WITHOUT_REASON


def _kept_otherwise(held: Held, kept: Kept) -> frozenset[Fault]:
    """Its values, its contract, and what the partner calls the customer are those of before."""
    basis = (tuple(held.consents), tuple(held.rules), held.expires_at)
    told = (
        (Fault.RESTRICTION_DIFFERS, not held.restricted),
        (Fault.BASIS_DIFFERS, basis != (kept.consents, kept.rules, kept.until)),
    )
    return frozenset(fault for fault, differs in told if differs)


def _told_otherwise(standing: Standing, held: Held, allowed: Allowed) -> Sequence[tuple[Fault, bool]]:
    agreement = standing.agreement
    assert agreement is not None  # nothing is allowed without one
    basis = (tuple(held.consents), tuple(held.rules), held.expires_at, held.rectified_at)
    return (
        (Fault.RESTRICTION_DIFFERS, held.restricted),
        (Fault.FIELDS_DIFFER, set(held.fields) != set(allowed.fields)),
        (Fault.PSEUDONYM_DIFFERS, held.pseudonym != allowed.pseudonym),
        (Fault.KEY_EPOCH_DIFFERS, held.key_epoch != agreement.keys.epoch),
        (Fault.CONTRACT_DIFFERS, held.contract != agreement.digest),
        (Fault.BASIS_DIFFERS, basis != (allowed.consents, allowed.rules, allowed.until, allowed.rectified_at)),
    )


def _values(record: bytes, allowed: Allowed, codec: Codec) -> Comparison:
    """Equal bytes hold equal values; other bytes are compared value by value."""
    if record == allowed.record:
        return Comparison(frozenset())
    try:
        there = codec.read(record)
    except Unreadable:
        return Comparison(frozenset({Fault.RECORD_UNREADABLE}))
    wanted = codec.read(allowed.record)
    other = {
        name: (there.get(name), wanted.get(name))
        for name in sorted({*there, *wanted})
        if name not in there or name not in wanted or there[name] != wanted[name]
    }
    if other:
        return Comparison(frozenset({Fault.VALUE_DIFFERS}), tuple(other), other)
    same_schema = schema_id_in(record) == schema_id_in(allowed.record)
    return Comparison(frozenset() if same_schema else frozenset({Fault.SCHEMA_DIFFERS}))

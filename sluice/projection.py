"""From the source's bytes to one partner's bytes: the seam behind which a record is taken apart and put together.

A `SourceReader` reads any writer schema, a `Projector` is planned once a contract. What lies between them, the
`Snapshot`, is opaque to everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sluice import field_path, redaction
from sluice.avro import Unencodable, Writer
from sluice.contract import CheckedContract, partner_field, partner_schema
from sluice.field_path import ABSENT
from sluice.keys import PartnerKeys
from sluice.model import Cause, Millis
from sluice.redaction import Customer, Redacted, Target
from sluice.registry import RegistryUnavailable
from sluice.row_filter import RowFilter

RECORD_OVERHEAD_BYTES = 200
"""More than what a record batch adds to key and value of its only record (Kafka's message format 2)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A customer as the source described it."""

    _record: Mapping[str, Any]

    def value(self, path: str) -> object:
        """The value at a field path; None if it, or something on the way, is null."""
        if path in self._record:  # a name of the outermost record, as most paths are
            return self._record[path]
        found = field_path.parse(path).find(self._record)
        return None if found is ABSENT else found

    def knows(self, path: str) -> bool:
        """Whether the writer's schema has the field at all."""
        return field_path.parse(path).find(self._record) is not ABSENT

    def passes(self, row_filter: RowFilter, now: Millis) -> bool:
        return row_filter.admits(self._record, now)

    def next_change(self, row_filter: RowFilter, now: Millis) -> Millis | None:
        """The next instant at which `passes` may answer otherwise."""
        return row_filter.next_change(self._record, now)


@dataclass(frozen=True, slots=True)
class Unread:
    """The registry does not answer and this schema has not been seen: the profile cannot be read for now."""


class SourceReader:
    """Reads profiles of any schema that the registry knows."""

    def __init__(self, decode: Callable[[bytes], Mapping[str, Any]]) -> None:
        self._decode = decode

    def read(self, value: bytes) -> Snapshot | Unread:
        """The framed profile. Raises Undecodable."""
        try:
            return Snapshot(self._decode(value))
        except RegistryUnavailable:
            return Unread()


class Projector:
    """Makes one partner's records."""

    def __init__(self, checked: CheckedContract, keys: PartnerKeys, schema_id: int, max_bytes: int) -> None:
        self._rules = checked.contract.shared_fields
        self.sealed = tuple(path for path, rule in self._rules.items() if rule.needs_customer_key)
        """The fields that are encrypted with the customer's own key."""
        self._required = checked.contract.required_fields
        self._row_filter = checked.row_filter
        self._targets = {path: Target(keys.field(path), checked.leaves[path].category) for path in self._rules}
        self._writer = Writer(partner_schema(checked), schema_id)
        self._max_bytes = max_bytes

    def admits(self, snapshot: Snapshot, now: Millis) -> bool:
        """The contract's row filter, at this time."""
        return snapshot.passes(self._row_filter, now)

    def next_change(self, snapshot: Snapshot, now: Millis) -> Millis | None:
        """The next instant at which `admits` may answer otherwise although the customer is the same; None: never."""
        return snapshot.next_change(self._row_filter, now)

    def project(self, snapshot: Snapshot, fields: Collection[str], customer: Customer) -> bytes | Cause | None:
        """The framed record with these fields, all others null; or why there cannot be one.

        None: a field that the contract requires has no value, or may not be shared.
        """
        redacted = self.redacted(snapshot, fields, customer)
        for path in self._required:
            if not snapshot.knows(path):
                return Cause.REQUIRED_FIELD_NOT_IN_SCHEMA
            if path not in redacted or redacted[path].value is None:
                return None
        try:
            record = _encode(self._writer, redacted)
        except Unencodable:
            return Cause.UNENCODABLE
        if len(customer.record_key) + len(record) + RECORD_OVERHEAD_BYTES > self._max_bytes:
            return Cause.RECORD_TOO_LARGE
        return record

    def redacted(self, snapshot: Snapshot, fields: Collection[str], customer: Customer) -> dict[str, Redacted]:
        """What becomes of each of these fields, by path, in the contract's order."""
        return {
            path: redaction.redact(rule, snapshot.value(path), self._targets[path], customer)
            for path, rule in self._rules.items()
            if path in fields
        }


def _encode(writer: Writer, redacted: Mapping[str, Redacted]) -> bytes:
    """The only way into a partner's record, open to redacted values alone."""
    return writer.write({partner_field(path): value.value for path, value in redacted.items()})

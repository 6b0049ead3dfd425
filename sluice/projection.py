"""From the source's bytes to one partner's bytes: the seam behind which a record is taken apart and put together.

A `SourceReader` reads any writer schema, a `Projector` is planned once a contract. What lies between them, the
`Snapshot`, is opaque to everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sluice import redaction
from sluice.avro import Unencodable, Writer
from sluice.contract import CheckedContract, partner_field, partner_schema
from sluice.keys import PartnerKeys
from sluice.model import Cause
from sluice.redaction import Redacted
from sluice.registry import RegistryUnavailable

_ABSENT = object()
RECORD_OVERHEAD_BYTES = 200
"""More than what a record batch adds to key and value of its only record (Kafka's message format 2)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A customer as the source described it."""

    _record: Mapping[str, Any]

    def value(self, path: str) -> object:
        """The value at a dotted path; None if it is null or a record on the way is."""
        found = self._find(path)
        return None if found is _ABSENT else found

    def knows(self, path: str) -> bool:
        """Whether the writer's schema has the field at all."""
        return self._find(path) is not _ABSENT

    def _find(self, path: str) -> object:
        value: Any = self._record
        for name in path.split("."):
            if value is None:
                return None
            value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
        return value


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
        self._required = checked.contract.required_fields
        self._where = {
            path: allowed if isinstance(allowed, list) else [allowed]
            for path, allowed in checked.contract.where.items()
        }
        self._keys = {path: keys.field(path) for path in self._rules}
        self._writer = Writer(partner_schema(checked), schema_id)
        self._max_bytes = max_bytes

    def admits(self, snapshot: Snapshot) -> bool:
        """The contract's row filter."""
        return all(snapshot.value(path) in allowed for path, allowed in self._where.items())

    def project(self, snapshot: Snapshot, fields: Collection[str], key: str) -> bytes | Cause | None:
        """The framed record with these fields, all others null; or why there cannot be one.

        None: a field that the contract requires has no value, or may not be shared.
        """
        redacted: dict[str, Redacted] = {}
        for path, rule in self._rules.items():
            if path in fields:
                redacted[path] = redaction.redact(rule, snapshot.value(path), self._keys[path])
        for path in self._required:
            if not snapshot.knows(path):
                return Cause.REQUIRED_FIELD_NOT_IN_SCHEMA
            if path not in redacted or redacted[path].value is None:
                return None
        try:
            record = _encode(self._writer, redacted)
        except Unencodable:
            return Cause.UNENCODABLE
        if len(key) + len(record) + RECORD_OVERHEAD_BYTES > self._max_bytes:
            return Cause.RECORD_TOO_LARGE
        return record


def _encode(writer: Writer, redacted: Mapping[str, Redacted]) -> bytes:
    """The only way into a partner's record, open to redacted values alone."""
    return writer.write({partner_field(path): value.value for path, value in redacted.items()})

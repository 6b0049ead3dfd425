"""From the source's bytes to one partner's bytes: the seam behind which a record is taken apart and put together.

A `SourceReader` reads any writer schema, a `Projector` is planned once a contract and writer schema. What lies between
them, the `Snapshot`, is opaque to everybody else. A value that goes to a partner as it is never becomes one: its bytes
are copied, and nothing else of the record is decoded but what a rule or a transform asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sluice import field_path, keys, redaction
from sluice.avro import Reader, Undecodable, Unencodable, ValueWriter, frame, unframe
from sluice.contract import CheckedContract
from sluice.facts import FactPaths, Facts, read_facts
from sluice.field_path import ABSENT, FieldPath
from sluice.keys import RECORD_KEY, PartnerKeys
from sluice.layout import Layout
from sluice.model import Cause, Millis
from sluice.redaction import Customer, Keep, PseudonymOf, Redacted, Rule, Target
from sluice.registry import RegistryUnavailable
from sluice.row_filter import RowFilter
from sluice.wire import Damaged, Walk

RECORD_OVERHEAD_BYTES = 200
"""More than what a record batch adds to key and value of its only record (Kafka's message format 2)."""
_NULL = b"\x00"
"""A null in a partner's record, in which every field is a union that begins with it."""
_MOST_FACTS = 1 << 15
_MOST_PLANS = 1_000
"""One for each set of fields that somebody's consent leaves; usually a handful."""


class Snapshot:
    """A customer as the source described it: a decoded record."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def find(self, path: FieldPath) -> object:
        """The value; None if it, or something on the way, is null; ABSENT where the writer's schema has none."""
        return path.find(self._record)

    def value(self, path: str) -> object:
        """The value at a field path, None if there is nothing."""
        found = self.find(field_path.parse(path))
        return None if found is ABSENT else found

    def knows(self, path: str) -> bool:
        """Whether the writer's schema has the field at all."""
        return self.find(field_path.parse(path)) is not ABSENT

    def facts(self, paths: FactPaths) -> Facts:
        """What the laws ask about the customer."""
        return read_facts(self.value, paths)

    def passes(self, row_filter: RowFilter, now: Millis) -> bool:
        return row_filter.admits(self.find, now)


class Scanned(Snapshot):
    """The same, still encoded: known is only where its values lie."""

    def __init__(self, layout: Layout, walk: Walk, known_facts: KnownFacts) -> None:
        self.layout = layout
        self.walk = walk
        self._known_facts = known_facts

    def find(self, path: FieldPath) -> object:
        return self.layout.find(self.walk, path.text)

    def value(self, path: str) -> object:
        found = self.layout.find(self.walk, path)
        return None if found is ABSENT else found

    def facts(self, paths: FactPaths) -> Facts:
        return self._known_facts.of(self, paths)

    def stated(self, paths: FactPaths) -> bytes | None:
        """The same bytes, the same facts; None: it takes more to tell."""
        return self._known_facts.stated(self.walk, paths)


class KnownFacts:
    """Facts by the bytes that they are read from: far fewer than customers. For one layout."""

    def __init__(self, layout: Layout, schema: bytes) -> None:
        """`schema`: what tells the writer's schema from others."""
        self._layout = layout
        self._schema = schema
        self._paths: FactPaths | None = None
        self._places: list[int] | None = None
        self._known: dict[bytes, Facts] = {}

    def stated(self, walk: Walk, paths: FactPaths) -> bytes | None:
        """See Scanned. Values in Avro end by themselves, so that they are told apart without anything between them."""
        if paths is not self._paths:
            self._paths, self._places = paths, self._layout.places_of(paths.stated)
            self._known.clear()
        if self._places is None:
            return None
        found = [self._schema]
        for place in self._places:
            start = walk.starts[place]
            if start < 0:
                return None
            found.append(walk.data[start : walk.ends[place]])
        return b"".join(found)

    def of(self, scanned: Scanned, paths: FactPaths) -> Facts:
        stated = self.stated(scanned.walk, paths)
        if stated is None:
            return read_facts(scanned.value, paths)
        facts = self._known.get(stated)
        if facts is None:
            if len(self._known) >= _MOST_FACTS:
                self._known.clear()
            facts = self._known[stated] = read_facts(scanned.value, paths)
        return facts


@dataclass(frozen=True, slots=True)
class Unread:
    """The registry does not answer and this schema has not been seen: the profile cannot be read for now."""


class SourceReader:
    """Reads profiles of any schema that the registry knows."""

    def __init__(self, readers: Callable[[int], Reader], paths: Collection[str]) -> None:
        """`readers` by schema id; raises Undecodable, RegistryUnavailable. `paths`: what will be asked for."""
        self._readers = readers
        self._paths = frozenset(paths)
        self._plans: dict[int, tuple[Layout, KnownFacts]] = {}

    def read(self, value: bytes) -> Snapshot | Unread:
        """The framed profile. Raises Undecodable."""
        schema_id, payload = unframe(value)
        try:
            reader = self._readers(schema_id)
        except RegistryUnavailable:
            return Unread()
        plan = self._plans.get(schema_id)
        if plan is None:
            layout = Layout(reader, self._paths)
            plan = self._plans[schema_id] = layout, KnownFacts(layout, frame(schema_id, b""))
        layout, known_facts = plan
        try:
            return Scanned(layout, layout.walk(payload), known_facts)
        except Damaged:
            raise Undecodable(Cause.UNDECODABLE) from None


class Projector:
    """Makes one partner's records."""

    def __init__(self, checked: CheckedContract, own: PartnerKeys, schema_id: int, max_bytes: int) -> None:
        self._rules = checked.contract.shared_fields
        self.sealed = tuple(path for path, rule in self._rules.items() if rule.needs_customer_key)
        """The fields that are encrypted with the customer's own key."""
        self._required = checked.contract.required_fields
        self._row_filter = checked.row_filter
        self._targets = {path: Target(own.field(path), checked.leaves[path].category) for path in self._rules}
        self._types = {path: rule.output(checked.leaves[path]) for path, rule in self._rules.items()}
        self._writers = {path: ValueWriter(["null", *types]) for path, types in self._types.items()}
        self._frame = frame(schema_id, b"")
        self._max_bytes = max_bytes
        self._plans: dict[tuple[Layout | None, tuple[str, ...]], list[_Piece]] = {}

    @property
    def paths(self) -> frozenset[str]:
        """What is asked of a snapshot."""
        return frozenset((*self._rules, *self._row_filter.paths))

    def admits(self, snapshot: Snapshot, now: Millis) -> bool:
        """The contract's row filter, at this time."""
        return not self._row_filter.conditions or snapshot.passes(self._row_filter, now)

    def next_change(self, snapshot: Snapshot, now: Millis) -> Millis | None:
        """The next instant at which `admits` may answer otherwise although the customer is the same; None: never."""
        return self._row_filter.next_change(snapshot.find, now) if self._row_filter.conditions else None

    def project(self, snapshot: Snapshot, fields: Collection[str], customer: Customer) -> bytes | Cause | None:
        """The framed record with these fields, all others null; or why there cannot be one.

        None: a field that the contract requires has no value, or may not be shared.
        """
        for path in self._required:
            if not snapshot.knows(path):
                return Cause.REQUIRED_FIELD_NOT_IN_SCHEMA
        record = [self._frame]
        unencodable = False
        for piece in self._pieces(snapshot, fields):
            try:
                found = piece.of(snapshot, customer)
            except Unencodable:
                unencodable = True
                continue
            if found == _NULL and piece.required:
                return None
            record.append(found)
        if unencodable:
            return Cause.UNENCODABLE
        whole = b"".join(record)
        if len(customer.record_key) + len(whole) + RECORD_OVERHEAD_BYTES > self._max_bytes:
            return Cause.RECORD_TOO_LARGE
        return whole

    def redacted(self, snapshot: Snapshot, fields: Collection[str], customer: Customer) -> dict[str, Redacted]:
        """What becomes of each of these fields, by path, in the contract's order."""
        return {
            path: redaction.redact(rule, snapshot.value(path), self._targets[path], customer)
            for path, rule in self._rules.items()
            if path in fields
        }

    def _pieces(self, snapshot: Snapshot, fields: Collection[str]) -> list[_Piece]:
        layout = snapshot.layout if isinstance(snapshot, Scanned) else None
        asked = fields if isinstance(fields, tuple) else tuple(fields)
        pieces = self._plans.get((layout, asked))
        if pieces is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            pieces = self._plans[layout, asked] = [self._piece(path, layout, asked) for path in self._rules]
        return pieces

    def _piece(self, path: str, layout: Layout | None, fields: Collection[str]) -> _Piece:
        required, rule, types = path in self._required, self._rules[path], self._types[path]
        if path not in fields:
            return _Nothing(required)
        if layout is not None and isinstance(rule, Keep):
            place = layout.places.get(path)
            prefixes = [] if place is None else layout.prefixes(place, types)
            if place is not None and prefixes:
                return _Copied(required, place, prefixes, layout.in_union(place))
        general = _Redacted(required, path, rule, self._targets[path], self._writers[path])
        if layout is not None and isinstance(rule, PseudonymOf) and path == RECORD_KEY and path in layout.places:
            return _RecordKey(required, layout.places[path], self._writers[path], general)
        return general


class _Piece:
    """One field of a partner's record."""

    def __init__(self, required: bool) -> None:  # noqa: FBT001 - of this module alone
        self.required = required

    def of(self, snapshot: Snapshot, customer: Customer) -> bytes:
        """Its bytes. Raises Unencodable."""
        raise NotImplementedError


class _Nothing(_Piece):
    """May not be shared."""

    def of(self, snapshot: Snapshot, customer: Customer) -> bytes:  # noqa: ARG002
        return _NULL


class _Copied(_Piece):
    """Kept as it is: the source's own bytes, behind the index of the branch that they are in the partner's union."""

    def __init__(self, required: bool, place: int, prefixes: list[bytes], in_union: bool) -> None:  # noqa: FBT001
        super().__init__(required)
        self._place = place
        self._prefixes = prefixes
        self._in_union = in_union

    def of(self, snapshot: Snapshot, customer: Customer) -> bytes:  # noqa: ARG002
        assert isinstance(snapshot, Scanned)
        walk, place = snapshot.walk, self._place
        start = walk.starts[place]
        if start < 0:
            return _NULL
        if not self._in_union:
            return self._prefixes[0] + walk.data[start : walk.ends[place]]
        return self._prefixes[walk.data[start] >> 1] + walk.data[start + 1 : walk.ends[place]]


class _Redacted(_Piece):
    """A value, through the contract's transform."""

    def __init__(self, required: bool, path: str, rule: Rule, target: Target, writer: ValueWriter) -> None:  # noqa: FBT001
        super().__init__(required)
        self._path = path
        self._rule = rule
        self._target = target
        self._writer = writer

    def of(self, snapshot: Snapshot, customer: Customer) -> bytes:
        return _encode(self._writer, redaction.redact(self._rule, snapshot.value(self._path), self._target, customer))


class _RecordKey(_Piece):
    """The pseudonym that is the key of the partner's records already, where the field is the customer's id."""

    def __init__(self, required: bool, place: int, writer: ValueWriter, general: _Piece) -> None:  # noqa: FBT001
        super().__init__(required)
        self._place = place
        self._begun = writer.write("x" * keys.PSEUDONYM_CHARACTERS)[: -keys.PSEUDONYM_CHARACTERS]
        self._general = general

    def of(self, snapshot: Snapshot, customer: Customer) -> bytes:
        assert isinstance(snapshot, Scanned)
        text = snapshot.layout.value(snapshot.walk, self._place)
        if text == customer.id and customer.id.isascii():  # and so in NFC
            return self._begun + customer.record_key.encode()
        return self._general.of(snapshot, customer)


def _encode(writer: ValueWriter, redacted: Redacted) -> bytes:
    """The only way for a value into a partner's record, open to redacted values alone."""
    return writer.write(redacted.value)

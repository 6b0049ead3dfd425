"""Rows of signals to rows of the consents' topic: one row in, a consent event for each thing it says out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from producers.encoding import Encoder, Row
from producers.signals.mapping import Kinds, SignalMapping
from producers.signals.reading import OBJECTS, READERS
from producers.signals.statement import Reading, Statement
from sluice.consent import RecipientKind
from sluice.document import nearest
from sluice.files.conversion import Unfit
from sluice.files.rows import Read, Refused
from sluice.files.scalars import UNFIT, Json, scalar
from sluice.vocabulary import EVERYTHING

SUBJECT: Final = "subject_id"
RECEIVED: Final = "received_at"

_FIELDS: Final = (SUBJECT, RECEIVED, *READERS)
_INSTANT = scalar({"type": "long", "logicalType": "timestamp-millis"})
_NAMESPACE: Final = UUID("7d0c3f4e-52a1-4d0b-9c1b-6f1f5d0a8e21")
"""Of record ids that are made of what was said, so that publishing it again is the same event."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What rows are read by."""

    mapping: SignalMapping
    kinds: Kinds
    customer: Callable[[Json], str]
    """The whole id of a customer, of which also the event's id is made. Raises Unfit."""


def encoded_signals(rows: Iterable[Read | Refused], terms: Terms, encoder: Encoder) -> Iterator[Row]:
    """Every event of every row, encoded; a signal that cannot be read is `Refused` beside its UNKNOWN events."""
    for row in rows:
        if isinstance(row, Refused):
            yield row
            continue
        for outcome in read_row(row.line, row.content, terms):
            yield outcome if isinstance(outcome, Refused) else encoder.encode(row.line, outcome)


def read_row(line: int, row: Mapping[str, Any], terms: Terms) -> Iterator[dict[str, Any] | Refused]:
    """The consent events of a row, as `publish consents` takes them, and what could not be read."""
    try:
        subject, received = _checked(row, terms)
    except Unfit as unfit:
        yield Refused(line, str(unfit))
        return
    for name, reader in READERS.items():
        if name not in row or (row[name] is None and name not in OBJECTS):
            continue
        reading = reader(row[name], terms.mapping)
        for statement in dict.fromkeys(reading.statements):
            yield _event(_Said(subject, received, name, statement, reading), terms.kinds)
        for problem in reading.problems:
            yield Refused(line, _sentence(name, problem, reading))


def _sentence(name: str, problem: str, reading: Reading) -> str:
    done = "published as unknown" if reading.statements else "nothing is published of it"
    return f"`{name}` cannot be read, {done}: {problem}."


def _checked(row: Mapping[str, Any], terms: Terms) -> tuple[str, int]:
    """Whom the row is about, and when it was received."""
    for name in row:
        if name not in _FIELDS:
            raise Unfit(f"There is a field that a row of signals does not have{nearest(name, _FIELDS) or '.'}")
    if not any(name in row for name in READERS):
        raise Unfit(f"The row has no signal; there are {', '.join(READERS)}.")
    return terms.customer(row.get(SUBJECT)), _instant(row.get(RECEIVED))


def _instant(value: object) -> int:
    assert _INSTANT is not None
    try:
        received = _INSTANT.from_json(value)
    except UNFIT:
        raise Unfit(f"`{RECEIVED}` has to be {_INSTANT.expected}.") from None
    return int(received)


@dataclass(frozen=True, slots=True)
class _Said:
    subject: str
    received: int
    method: str
    statement: Statement
    reading: Reading


def _event(said: _Said, kinds: Kinds) -> dict[str, Any]:
    """The event; also its time of recording is that of the signal, or the same signal would be another event."""
    statement = said.statement
    event = {
        "subject_id": said.subject,
        "purpose": statement.purpose,
        "recipient_scope": _scope(statement.partner, kinds),
        "data_scope": list(statement.data),
        "state": statement.state.value,
        "expression": statement.expression.value,
        "actor": statement.actor.value,
        "lawful_basis": statement.lawful_basis,
        "jurisdiction": statement.jurisdiction,
        "event_time": said.received,
        "recorded_at": said.received,
        "notice": _notice(statement),
        "collection_method": said.method,
        "signal": {"type": statement.signal.value, "raw": said.reading.raw},
    }
    return {"record_id": str(uuid5(_NAMESPACE, json.dumps(event, sort_keys=True))), **event}


def _scope(partner: str | None, kinds: Kinds) -> dict[str, Any] | None:
    return None if partner is None else {"category": RecipientKind(kinds[partner]).value, "partner_ids": [partner]}


def _notice(statement: Statement) -> dict[str, Any] | None:
    if statement.notice is None:
        return None
    return {
        "id": statement.notice.id,
        "version": statement.notice.version,
        "names_recipients": [] if statement.partner is None else [statement.partner],
        "covers_purposes": [statement.purpose],
        "covers_categories": [EVERYTHING],
    }

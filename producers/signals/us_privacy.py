"""What opt-out signals of the United States mean: GPC, the US Privacy string, the US sections of GPP.

The rules are DOMAIN A4.2 (a question without a readable answer), A4.7 (sale and sharing) and A4.13 (sensitive data).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from producers.signals.gpp import UsSection
from producers.signals.layouts import Field, Layout
from producers.signals.statement import (
    ADVERTISING,
    CHILDREN,
    NOT_OPTED_OUT,
    SALE,
    SHARING,
    Statement,
    categories,
    open_questions,
)
from producers.signals.usp import UsPrivacy
from sluice.consent import Actor, Expression, SignalType, State
from sluice.vocabulary import EVERYTHING

_YES: Final = 1
_NO: Final = 2

_OPT_OUTS: Final = (
    (Field.SALE, Field.SALE_NOTICE, SALE),
    (Field.SHARING, Field.SHARING_NOTICE, SHARING),
    (Field.ADVERTISING, Field.ADVERTISING_NOTICE, ADVERTISING),
)

_CONSENTS: Final[Mapping[int, State]] = {1: State.REFUSED, 2: State.GIVEN}
"""Other numbers are no answer."""


def control() -> tuple[Statement, ...]:
    """A Global Privacy Control signal: no sale, no sharing, no targeted advertising (A3, 5e)."""
    return tuple(Statement(purpose, State.OPTED_OUT, SignalType.GPC) for purpose in (SALE, SHARING, ADVERTISING))


def privacy_string(privacy: UsPrivacy, signal: SignalType) -> tuple[Statement, ...]:
    """It knows of sale alone, under the law of California as it was in 2020."""
    return (_opt_out(SALE, privacy.sale, privacy.notice, signal, "US-CA"),)


def section(read: UsSection) -> tuple[Statement, ...]:
    """Everything that a US section says."""
    return (*_opt_outs(read), *_sensitive(read), *_child(read), *(control() if read.gpc else ()))


def unreadable(layout: Layout) -> tuple[Statement, ...]:
    """UNKNOWN for everything that the section could have said, Global Privacy Control among it."""
    fields = layout.fields | {name for name, _, _ in _OPT_OUTS}
    return open_questions(SignalType.GPP, fields, categories(layout.slots), layout.jurisdiction)


def _opt_outs(read: UsSection) -> Iterator[Statement]:
    for name, notice, purpose in _OPT_OUTS:
        if name in read.values:
            yield _opt_out(purpose, read.value(name), read.value(notice), SignalType.GPP, read.layout.jurisdiction)


def _opt_out(purpose: str, value: int, notice: int, signal: SignalType, jurisdiction: str) -> Statement:
    said = Statement(purpose, State.OPTED_OUT, signal, jurisdiction=jurisdiction)
    return said if value == _YES else _not_opted_out(said, value, notice)


def _not_opted_out(said: Statement, value: int, notice: int) -> Statement:
    """Who was told and did not opt out did not opt in either: `default` never counts as an answer (A4.8)."""
    if value != _NO or notice != _YES:
        return replace(said, state=State.UNKNOWN)
    return replace(said, state=State.GIVEN, expression=Expression.DEFAULT, lawful_basis=NOT_OPTED_OUT)


def _sensitive(read: UsSection) -> Iterator[Statement]:
    """One statement for each answer, with all the data that it is about. Zero is no permission (A4.2)."""
    values = read.values.get(Field.SENSITIVE, ())
    answers = list(zip(read.layout.slots, values, strict=True))
    for value in sorted(set(values)):
        data = categories(slot for slot, other in answers if other == value)
        yield _sensitive_answer(read, value, data)


def _sensitive_answer(read: UsSection, value: int, data: tuple[str, ...]) -> Statement:
    place = read.layout.jurisdiction
    if not read.layout.sensitive_opts_out:
        return _consent(Statement(EVERYTHING, State.UNKNOWN, SignalType.GPP, data, jurisdiction=place), value)
    said = Statement(EVERYTHING, State.LIMITED, SignalType.GPP, data, jurisdiction=place)
    return said if value == _YES else _not_opted_out(said, value, read.value(Field.SENSITIVE_NOTICE))


def _consent(asked: Statement, value: int, actor: Actor = Actor.SUBJECT) -> Statement:
    said = replace(asked, state=_CONSENTS.get(value, State.UNKNOWN))
    return replace(said, expression=Expression.OPT_IN, actor=actor) if said.state is State.GIVEN else said


def _child(read: UsSection) -> Iterator[Statement]:
    """Any answer at all says that the person is a known child. Of several answers the most restrictive one counts.

    Beside a yes, that a child was asked is an event of its own: no grant shows a minor (docs/deciding.md).
    """
    answers = [value for value in read.values.get(Field.CHILD, ()) if value]
    if not answers:
        return
    asked = Statement(EVERYTHING, State.UNKNOWN, SignalType.GPP, (CHILDREN,), jurisdiction=read.layout.jurisdiction)
    decisive = next((value for value in (_YES, 3) if value in answers), _NO)
    if decisive == _NO:
        yield replace(asked, state=State.REQUESTED)
    yield _consent(asked, decisive, Actor.GUARDIAN)

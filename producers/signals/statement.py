"""What a signal says, before it is said of somebody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from producers.signals.layouts import LAYOUTS, Field
from sluice.consent import Actor, Expression, SignalType, State
from sluice.vocabulary import EVERYTHING

SALE = "sales"
SHARING = "third_party_sharing"
ADVERTISING = "marketing.advertising"
CHILDREN = "user.childrens"
NOT_OPTED_OUT = "ccpa_not_opted_out"


@dataclass(frozen=True, slots=True)
class Notice:
    """The text that was shown."""

    id: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One answer, as a row of the consents' topic has it. As it stands, it is a no or a question to everybody."""

    purpose: str
    state: State = field(repr=False)
    signal: SignalType
    data: tuple[str, ...] = (EVERYTHING,)
    partner: str | None = None
    """None: nobody in particular."""
    expression: Expression = Expression.OPT_OUT_SIGNAL
    actor: Actor = Actor.SIGNAL
    lawful_basis: str | None = None
    jurisdiction: str | None = None
    """Of the section that it stands in, ISO 3166-2 or a country."""
    notice: Notice | None = None
    """Of a grant; it names the partner."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one signal of a row says."""

    statements: tuple[Statement, ...]
    raw: str | None = field(default=None, repr=False)
    """The signal as received, kept as evidence only if all of it could be read: what cannot might be anything."""
    problems: tuple[str, ...] = ()
    """What could not be read, in sentences without anything of the signal."""


def sensitive_data() -> tuple[str, ...]:
    """Every category that some US section speaks of."""
    layouts = (layout for versions in LAYOUTS.values() for layout in versions)
    return categories(slot for layout in layouts for slot in layout.slots)


def categories(slots: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All of them, each once, sorted: the same answer is the same event."""
    return tuple(sorted({category for slot in slots for category in slot}))


def open_questions(
    signal: SignalType, fields: Iterable[Field], sensitive: tuple[str, ...], jurisdiction: str | None = None
) -> tuple[Statement, ...]:
    """UNKNOWN for everything that a US signal with these fields may say."""
    asked = {
        Field.SALE: (SALE, (EVERYTHING,)),
        Field.SHARING: (SHARING, (EVERYTHING,)),
        Field.ADVERTISING: (ADVERTISING, (EVERYTHING,)),
        Field.SENSITIVE: (EVERYTHING, sensitive),
        Field.CHILD: (EVERYTHING, (CHILDREN,)),
    }
    wanted = frozenset(fields)
    return tuple(
        Statement(purpose, State.UNKNOWN, signal, data, jurisdiction=jurisdiction)
        for name, (purpose, data) in asked.items()
        if name in wanted
    )

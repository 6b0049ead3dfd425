"""What choices in consent tools mean: TCF purposes and vendors, categories of Segment, RudderStack and OneTrust.

Only what the mapping names is said. Whoever is asked in such a tool is shown whom the yes is for, so a yes names its
partner; a no is one to that partner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from producers.signals.categories import Answers
from producers.signals.mapping import Category, SignalMapping
from producers.signals.statement import Notice, Statement
from producers.signals.tcf import TcfConsent
from sluice.consent import Actor, Expression, SignalType, State

TCF_NOTICE = "iab-tcf"
"""The notice of a TCF grant; its version is that of the Global Vendor List that was shown."""

_STATES: Mapping[bool | None, State] = {True: State.GIVEN, False: State.REFUSED, None: State.UNKNOWN}


def framework(consent: TcfConsent, mapping: SignalMapping, signal: SignalType) -> tuple[Statement, ...]:
    """Consent to purpose and vendor is a grant, everything else a refusal."""
    return tuple(_framework(consent, mapping, signal))


def framework_unreadable(mapping: SignalMapping, signal: SignalType) -> tuple[Statement, ...]:
    """UNKNOWN for every purpose and partner that the mapping names."""
    return tuple(
        Statement(purpose, State.UNKNOWN, signal, partner=partner) for _, _, purpose, partner in _mapped(mapping)
    )


def answers(found: Answers, categories: Mapping[str, Category], notice: Notice | None) -> tuple[Statement, ...]:
    """A statement for each category, purpose and partner; `found` has an answer to every category, if only None."""
    return tuple(
        statement
        for name, category in categories.items()
        for statement in _category(category, _STATES[found[name]], notice)
    )


def answers_unreadable(categories: Mapping[str, Category]) -> tuple[Statement, ...]:
    """UNKNOWN for everything that the categories are about."""
    return answers(dict.fromkeys(categories), categories, None)


def _framework(consent: TcfConsent, mapping: SignalMapping, signal: SignalType) -> Iterator[Statement]:
    notice = Notice(TCF_NOTICE, str(consent.vendor_list))
    for number, vendor, purpose, partner in _mapped(mapping):
        said = Statement(purpose, State.REFUSED, signal, partner=partner)
        yield _granted(said, Expression.OPT_IN, notice) if consent.allows(number, vendor) else said


def _mapped(mapping: SignalMapping) -> Iterator[tuple[int, int, str, str]]:
    """TCF purpose, vendor, and what they are in our words."""
    for number, purposes in mapping.purposes.items():
        for purpose in purposes:
            for vendor, partner in mapping.vendors.items():
                yield int(number), int(vendor), purpose, partner


def _category(category: Category, state: State, notice: Notice | None) -> Iterator[Statement]:
    partners: list[str | None] = [*category.partners] or [None]
    for purpose in category.purposes:
        for partner in partners:
            said = Statement(purpose, state, SignalType.FORM, partner=partner)
            yield _granted(said, Expression(category.expression), notice) if state is State.GIVEN else said


def _granted(said: Statement, expression: Expression, notice: Notice | None) -> Statement:
    """A yes is the person's own: a grant by a signal would not count."""
    return replace(said, state=State.GIVEN, expression=expression, actor=Actor.SUBJECT, notice=notice)

"""One signal of a row to what it says: never nothing where something could not be read, and never an error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from producers.signals import categories, choices, gpc, gpp, tcf, us_privacy, usp
from producers.signals.layouts import LAYOUTS, Field
from producers.signals.mapping import Category, SignalMapping
from producers.signals.statement import Notice, Reading, Statement, open_questions, sensitive_data
from producers.signals.unreadable import SignalUnreadable
from sluice.consent import SignalType

Reader: TypeAlias = Callable[[Any, SignalMapping], Reading]

_UNMAPPED = "the mapping does not say what it means"


def _gpc(value: object, _: SignalMapping) -> Reading:
    return Reading(us_privacy.control(), raw="1") if gpc.is_opt_out(value) else Reading(())


def _usp(value: object, _: SignalMapping) -> Reading:
    try:
        privacy = usp.decode(value)
    except SignalUnreadable as unreadable:
        asked = open_questions(SignalType.USP, (Field.SALE,), (), "US-CA")
        return Reading(asked, problems=(str(unreadable),))
    return Reading(us_privacy.privacy_string(privacy, SignalType.USP), raw=str(value))


def _tcf(value: object, mapping: SignalMapping) -> Reading:
    if not (mapping.vendors and mapping.purposes):
        return Reading((), problems=(_UNMAPPED,))
    try:
        consent = tcf.decode(value)
    except SignalUnreadable as unreadable:
        return Reading(choices.framework_unreadable(mapping, SignalType.TCF), problems=(str(unreadable),))
    return Reading(choices.framework(consent, mapping, SignalType.TCF), raw=str(value))


def _gpp(value: object, mapping: SignalMapping) -> Reading:
    try:
        sections = gpp.decode(value)
    except SignalUnreadable as unreadable:
        return Reading(_anything(mapping), problems=(str(unreadable),))
    statements = tuple(said for section in sections for said in _section(section, mapping))
    problems = tuple(
        f"section {section.section}: {section.reason}"
        for section in sections
        if isinstance(section, gpp.UnreadableSection)
    )
    return Reading(statements, raw=None if problems else str(value), problems=problems)


def _anything(mapping: SignalMapping) -> tuple[Statement, ...]:
    """UNKNOWN for everything that a GPP string may say."""
    everything = open_questions(SignalType.GPP, Field, sensitive_data())
    return (*everything, *choices.framework_unreadable(mapping, SignalType.GPP))


def _section(section: gpp.Section, mapping: SignalMapping) -> tuple[Statement, ...]:
    match section:
        case gpp.UsSection():
            return us_privacy.section(section)
        case gpp.UspSection(privacy=privacy):
            return us_privacy.privacy_string(privacy, SignalType.GPP)
        case gpp.TcfSection(consent=consent):
            return choices.framework(consent, mapping, SignalType.GPP)
        case gpp.UnknownSection():
            return ()
        case gpp.UnreadableSection(section=number):
            return _unreadable_section(number, mapping)


def _unreadable_section(number: int, mapping: SignalMapping) -> tuple[Statement, ...]:
    if number in LAYOUTS:
        return us_privacy.unreadable(LAYOUTS[number][-1])
    if number == gpp.US_PRIVACY:
        return open_questions(SignalType.GPP, (Field.SALE,), (), "US-CA")
    return choices.framework_unreadable(mapping, SignalType.GPP)


def _segment(value: object, mapping: SignalMapping) -> Reading:
    return _categories(value, mapping.categories.segment, mapping, categories.segment)


def _rudderstack(value: object, mapping: SignalMapping) -> Reading:
    return _categories(value, mapping.categories.rudderstack, mapping, categories.rudderstack)


def _onetrust(value: object, mapping: SignalMapping) -> Reading:
    """Its cookie also tells of Global Privacy Control, which needs no mapping."""
    read = _categories(value, mapping.categories.onetrust, mapping, categories.onetrust)
    if not categories.onetrust_saw_gpc(value):
        return read
    return Reading((*read.statements, *us_privacy.control()), problems=read.problems)


def _categories(
    value: object,
    mapped: Mapping[str, Category],
    mapping: SignalMapping,
    decode: Callable[[object, Collection[str]], categories.Answers],
) -> Reading:
    if not mapped:
        return Reading((), problems=(_UNMAPPED,))
    try:
        found = decode(value, mapped)
    except SignalUnreadable as unreadable:
        return Reading(choices.answers_unreadable(mapped), problems=(str(unreadable),))
    notice = Notice(mapping.notice.id, mapping.notice.version) if mapping.notice else None
    return Reading(choices.answers(found, mapped, notice))


READERS: Final[Mapping[str, Reader]] = {
    "gpc": _gpc,
    "gpp": _gpp,
    "tcf": _tcf,
    "usp": _usp,
    "segment": _segment,
    "rudderstack": _rudderstack,
    "onetrust": _onetrust,
}
"""By the field of a row that has the signal; also the events' collection method."""

OBJECTS: Final = frozenset({"segment", "rudderstack", "onetrust"})
"""Consent objects: one that is null was left off by the tool that should have put it there, and that is no answer."""

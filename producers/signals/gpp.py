"""IAB Global Privacy Platform strings: a header that lists sections, and the sections.

Source: IAB Tech Lab, Global Privacy Platform String 1.0 (CC BY 3.0). Each listed section gives exactly one of
`UsSection | UspSection | TcfSection | UnknownSection | UnreadableSection`, so one that cannot be read hides no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from producers.signals import tcf, usp
from producers.signals.bits import Bits
from producers.signals.layouts import LAYOUTS, Field, Layout
from producers.signals.unreadable import SignalUnreadable, signal_text

TCF_EU: Final = 2
TCF_CANADA: Final = 5
US_PRIVACY: Final = 6

_HEADER_TYPE = 3
_VERSION = 1
_GPC_SUBSECTION = 1


@dataclass(frozen=True, slots=True)
class UsSection:
    layout: Layout
    values: Mapping[Field, tuple[int, ...]] = field(repr=False)
    """Numbers of two bits, as they stand; a field that the section has more than once keeps the last."""
    gpc: bool = field(repr=False)
    """The GPC subsection is there and true."""

    def value(self, name: Field) -> int:
        return self.values[name][0]


@dataclass(frozen=True, slots=True)
class UspSection:
    privacy: usp.UsPrivacy


@dataclass(frozen=True, slots=True)
class TcfSection:
    consent: tcf.TcfConsent


@dataclass(frozen=True, slots=True)
class UnknownSection:
    """A section that no specification read here describes."""

    section: int


@dataclass(frozen=True, slots=True)
class UnreadableSection:
    section: int
    reason: str


Section: TypeAlias = UsSection | UspSection | TcfSection | UnknownSection | UnreadableSection


def decode(value: object) -> tuple[Section, ...]:
    """The sections in their order. Raises SignalUnreadable when the string as a whole is no GPP string."""
    header, *bodies = signal_text(value).split("~")
    sections = _section_ids(header)
    if len(sections) != len(bodies):
        raise SignalUnreadable("its header lists another number of sections than it has")
    return tuple(_section(section, body) for section, body in zip(sections, bodies, strict=True))


def _section_ids(header: str) -> tuple[int, ...]:
    if header.startswith(tcf.FIRST_CHARACTER):
        raise SignalUnreadable("it is a TCF string, where a GPP string belongs")
    bits = Bits(header)
    if bits.integer(6) != _HEADER_TYPE or bits.integer(6) != _VERSION:
        raise SignalUnreadable("it does not begin with a GPP header of version 1")
    sections = bits.ids()
    bits.finish()
    return sections


def _section(section: int, body: str) -> Section:
    try:
        match section:
            case _ if section in LAYOUTS:
                return _us_section(LAYOUTS[section], body)
            case _ if section == US_PRIVACY:
                return UspSection(usp.decode(body))
            case _ if section == TCF_EU:
                return TcfSection(tcf.decode(body))
            case _ if section == TCF_CANADA:
                # Vendor lists are written in two ways that cannot be told apart: fixed ranges by older encoders,
                # Fibonacci ranges by the specification. Who was consented to is not known then.
                return UnreadableSection(section, "the vendors of a Canadian TCF string cannot be told for certain")
            case _:
                return UnknownSection(section)
    except SignalUnreadable as unreadable:
        return UnreadableSection(section, str(unreadable))


def _us_section(layouts: tuple[Layout, ...], body: str) -> UsSection:
    core, *others = _without_header(layouts[-1], body.split("."))
    bits = Bits(core)
    layout = _layout(layouts, bits.integer(6), bits.left)
    values = {name: bits.integers(layout.count(name), 2) for name in layout.order}
    bits.finish()
    if layout.sensitive_apart:
        return UsSection(layout, values | {Field.SENSITIVE: _sensitive(layout, others)}, gpc=False)
    signals = [_gpc(other) for other in others]
    return UsSection(layout, values, gpc=any(signals))


def _without_header(layout: Layout, parts: list[str]) -> list[str]:
    """The section's core and what follows.

    The layouts of October 2025 have a header: the section's id, a version, the subsections' ids. The Tech Lab's own
    encoders leave it out. Its list begins with id 0, which has no Fibonacci code, so only id and version are read.
    """
    if not layout.subsectioned:
        return parts
    bits = Bits(parts[0])
    if bits.integer(6) != layout.section:
        return parts
    if bits.integer(6) != layout.version or len(parts) == 1:
        raise SignalUnreadable("a section has a version that is not known, or only a header")
    return parts[1:]


def _layout(layouts: tuple[Layout, ...], version: int, size: int) -> Layout:
    """The layout of a core with `size` bits behind its version.

    Some encoders wrote the longer layout of usnat under the version of the shorter one, so the length counts too.
    """
    if layouts[-1].subsectioned:
        return layouts[-1]  # this is the version of the MSPA, not of the layout
    if version not in {layout.version for layout in layouts}:
        raise SignalUnreadable("a section has a version that is not known")
    fitting = [layout for layout in layouts if layout.version >= version and layout.size <= size]
    if not fitting:
        raise SignalUnreadable("a part is shorter than its layout")
    return fitting[-1]


def _sensitive(layout: Layout, others: list[str]) -> tuple[int, ...]:
    if not others:
        return ()
    if len(others) > 1:
        raise SignalUnreadable("a section has more subsections than its layout")
    bits = Bits(others[0])
    values = bits.integers(len(layout.slots), 2)
    bits.finish()
    return values


def _gpc(subsection: str) -> bool:
    bits = Bits(subsection)
    if bits.integer(2) != _GPC_SUBSECTION:
        raise SignalUnreadable("a section has a subsection that is not known")
    gpc = bits.integer(1)
    bits.finish()
    return gpc == 1

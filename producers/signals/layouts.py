"""The layouts of the US sections of GPP, as tables.

Source: IAB Tech Lab, Global Privacy Platform, folders Sections/US-National and Sections/US-States as of 2025-12-17
(CC BY 3.0). All fields have two bits, but for the version in front, which has six.

What a slot of `SensitiveDataProcessing` is about is said in our data categories: a slot that covers more than one kind
has all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Field(StrEnum):
    """What a layout is made of, by meaning: the states' specifications name the same things differently."""

    PROCESSING_NOTICE = "processing_notice"
    SALE_NOTICE = "sale_notice"
    SHARING_NOTICE = "sharing_notice"
    ADVERTISING_NOTICE = "advertising_notice"
    SENSITIVE_NOTICE = "sensitive_notice"
    SALE = "sale"
    SHARING = "sharing"
    ADVERTISING = "advertising"
    SENSITIVE = "sensitive"
    CHILD = "child"
    OTHER = "other"
    """Consents to secondary use and the terms of the MSPA, which say nothing about sharing with partners."""


Slot = tuple[str, ...]
"""Data categories that one entry of `SensitiveDataProcessing` is about."""

RACE: Final[Slot] = ("user.demographic.race_ethnicity",)
RELIGION: Final[Slot] = ("user.demographic.religious_belief",)
BELIEFS: Final[Slot] = (*RELIGION, "user.demographic.philosophical_belief")
HEALTH: Final[Slot] = ("user.health_and_medical",)
ORIENTATION: Final[Slot] = ("user.demographic.sexual_orientation",)
CITIZENSHIP: Final[Slot] = ("user.demographic.citizenship", "user.government_id.immigration")
GENETIC: Final[Slot] = ("user.genetic", "user.health_and_medical.genetic")
BIOMETRIC: Final[Slot] = ("user.biometric", "user.authorization.biometric")
LOCATION: Final[Slot] = ("user.location.precise",)
GOVERNMENT_ID: Final[Slot] = ("user.government_id",)
ACCOUNT: Final[Slot] = (
    "user.authorization.credentials",
    "user.authorization.password",
    "user.financial.account_number",
    "user.financial.bank_account",
    "user.financial.credit_card",
)
UNION: Final[Slot] = ("user.demographic.trade_union",)
MESSAGES: Final[Slot] = ("user.content.private",)
CRIME_VICTIM: Final[Slot] = ("user.criminal_history",)  # there is no key for victims; this one is the nearest
ORIGIN: Final[Slot] = RACE  # national origin: the same key
GENDER: Final[Slot] = ("user.demographic.gender",)  # status as transgender or non-binary

_EIGHT = (RACE, RELIGION, HEALTH, ORIENTATION, CITIZENSHIP, GENETIC, BIOMETRIC, LOCATION)
_UTAH = (RACE, RELIGION, ORIENTATION, CITIZENSHIP, HEALTH, GENETIC, BIOMETRIC, LOCATION)
_OREGON = (
    *(RACE, RELIGION, HEALTH, ORIENTATION, GENDER, CITIZENSHIP, ORIGIN, CRIME_VICTIM),
    *(GENETIC, BIOMETRIC, LOCATION),
)
_CALIFORNIA = (
    *(GOVERNMENT_ID, ACCOUNT, LOCATION, (*RACE, *BELIEFS, *UNION), MESSAGES),
    *(GENETIC, BIOMETRIC, HEALTH, ORIENTATION),
)
_NATIONAL = (
    *(RACE, BELIEFS, HEALTH, ORIENTATION, CITIZENSHIP, GENETIC, BIOMETRIC, LOCATION),
    *(GOVERNMENT_ID, ACCOUNT, UNION, MESSAGES, HEALTH, CRIME_VICTIM, ORIGIN, GENDER),
)

_MSPA = (Field.OTHER, Field.OTHER, Field.OTHER)
_NOTICES = (Field.PROCESSING_NOTICE, Field.SALE_NOTICE, Field.ADVERTISING_NOTICE)
_OPT_OUTS = (Field.SALE, Field.ADVERTISING)
_LISTS = (Field.SENSITIVE, Field.CHILD)

_FIRST_STATES = (*_NOTICES, *_OPT_OUTS, *_LISTS, *_MSPA)
_LATER_STATES = (*_NOTICES, *_OPT_OUTS, *_LISTS, Field.OTHER, *_MSPA)
_OPT_OUT_STATES = (*_NOTICES, Field.SENSITIVE_NOTICE, *_OPT_OUTS, *_LISTS, *_MSPA)
_CALIFORNIAN = (
    *(Field.SALE_NOTICE, Field.SHARING_NOTICE, Field.SENSITIVE_NOTICE, Field.SALE, Field.SHARING),
    *(*_LISTS, Field.OTHER, *_MSPA),
)
_NATIONWIDE = (
    *(Field.PROCESSING_NOTICE, Field.SALE_NOTICE, Field.SHARING_NOTICE, Field.ADVERTISING_NOTICE),
    *(Field.SENSITIVE_NOTICE, Field.SENSITIVE_NOTICE),  # of the right to opt out, and to limit: beside the consent
    *(Field.SALE, Field.SHARING, Field.ADVERTISING, *_LISTS, Field.OTHER, *_MSPA),
)
_SUBSECTIONED = (Field.OTHER, Field.OTHER, *_NOTICES, *_OPT_OUTS, Field.CHILD, Field.OTHER)
_MARYLAND = (Field.OTHER, Field.OTHER, *_NOTICES, *_OPT_OUTS, Field.OTHER)


@dataclass(frozen=True, slots=True)
class Layout:
    """One version of one section."""

    section: int
    prefix: str
    """The section's name in the specifications."""
    jurisdiction: str
    """ISO 3166-2, or US."""
    order: tuple[Field, ...]
    """Of the core, behind the version."""
    slots: tuple[Slot, ...] = ()
    children: int = 0
    """Entries of `KnownChildSensitiveDataConsents`."""
    version: int = 1
    sensitive_opts_out: bool = False
    """`SensitiveDataProcessing` means 1 opted out, 2 did not; else 1 no consent, 2 consent (A4.13)."""
    subsectioned: bool = False
    """Of October 2025: may have a header of its own, and begins with the version of the MSPA."""

    def count(self, field: Field) -> int:
        return {Field.SENSITIVE: len(self.slots), Field.CHILD: self.children}.get(field, 1)

    @property
    def size(self) -> int:
        """Bits of the core behind the version."""
        return 2 * sum(self.count(field) for field in self.order)

    @property
    def sensitive_apart(self) -> bool:
        """`SensitiveDataProcessing` is a subsection of its own."""
        return bool(self.slots) and Field.SENSITIVE not in self.order

    @property
    def fields(self) -> frozenset[Field]:
        return frozenset((*self.order, Field.SENSITIVE) if self.sensitive_apart else self.order)


_ALL: Final = (
    Layout(7, "usnat", "US", _NATIONWIDE, _NATIONAL[:12], 2),
    Layout(7, "usnat", "US", _NATIONWIDE, _NATIONAL, 3, version=2),
    Layout(8, "usca", "US-CA", _CALIFORNIAN, _CALIFORNIA, 2, sensitive_opts_out=True),
    Layout(9, "usva", "US-VA", _FIRST_STATES, _EIGHT, 1),
    Layout(10, "usco", "US-CO", _FIRST_STATES, _EIGHT[:7], 1),
    Layout(11, "usut", "US-UT", _OPT_OUT_STATES, _UTAH, 1, sensitive_opts_out=True),
    Layout(12, "usct", "US-CT", _FIRST_STATES, _EIGHT, 3),
    Layout(13, "usfl", "US-FL", _LATER_STATES, _EIGHT, 3),
    Layout(14, "usmt", "US-MT", _LATER_STATES, _EIGHT, 3),
    Layout(15, "usor", "US-OR", _LATER_STATES, _OREGON, 3),
    Layout(16, "ustx", "US-TX", _LATER_STATES, _EIGHT, 1),
    Layout(17, "usde", "US-DE", _LATER_STATES, (*_EIGHT, GENDER), 5),
    Layout(18, "usia", "US-IA", _OPT_OUT_STATES, _EIGHT, 1, sensitive_opts_out=True),
    Layout(19, "usne", "US-NE", _LATER_STATES, _EIGHT, 1),
    Layout(20, "usnh", "US-NH", _LATER_STATES, _EIGHT, 3),
    Layout(21, "usnj", "US-NJ", _LATER_STATES, (*_EIGHT, GENDER, ACCOUNT), 5),
    Layout(22, "ustn", "US-TN", _LATER_STATES, _EIGHT, 1),
    Layout(23, "usmn", "US-MN", _LATER_STATES, _EIGHT, 1),
    Layout(24, "usmd", "US-MD", _MARYLAND, subsectioned=True),
    Layout(25, "usin", "US-IN", _SUBSECTIONED, _EIGHT, 1, subsectioned=True),
    Layout(26, "usky", "US-KY", _SUBSECTIONED, _EIGHT, 1, subsectioned=True),
    Layout(27, "usri", "US-RI", _SUBSECTIONED, _EIGHT, 1, subsectioned=True),
)

LAYOUTS: Final[Mapping[int, tuple[Layout, ...]]] = {
    section: tuple(layout for layout in _ALL if layout.section == section)
    for section in sorted({layout.section for layout in _ALL})
}
"""By section id; the newest version is last."""

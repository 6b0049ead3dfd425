"""IAB Transparency & Consent Framework, version 2: which purposes and vendors a person consented to.

The core is decoded by the package iab-tcf. What it leaves out is done here: it reads bits behind the end of a string as
ones, which would be consent, passes over characters that are none of base64's, and takes ranges as they come.
Source: IAB Tech Lab, Consent string and vendor list formats v2 ("The Core String", "Disclosed Vendors").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from iab_tcf import ConsentV2, base64_decode  # type: ignore[import-untyped]  # the package has no annotations

from producers.signals.bits import Bits
from producers.signals.unreadable import SignalUnreadable, signal_text

FIRST_CHARACTER: Final = "C"
"""Version 2 in the first six bits."""
GPP_FIRST_CHARACTER: Final = "D"

Ids = tuple[tuple[int, int], ...]
"""Ranges of ids, ends included."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_DISCLOSED_VENDORS = 1
_REQUIRES_CONSENT = 1
"""The only kind of publisher restriction that lets consent count: the others forbid, need another basis, or are not
defined."""


@dataclass(frozen=True, slots=True)
class TcfConsent:
    """What decides about one purpose and one vendor."""

    vendor_list: int
    """Version of the Global Vendor List that the person was shown."""
    purposes: frozenset[int] = field(repr=False)
    vendors: Ids = field(repr=False)
    barred: tuple[tuple[int, Ids], ...] = field(repr=False)
    """Purposes for which the publisher does not let consent count, with the vendors."""
    disclosed: Ids | None = field(repr=False)
    """Vendors that were shown; None: the string does not say."""

    def allows(self, purpose: int, vendor: int) -> bool:
        """Consent to the purpose and to the vendor, whom the person was shown, and no restriction."""
        return (
            purpose in self.purposes
            and _holds(self.vendors, vendor)
            and not any(purpose == other and _holds(vendors, vendor) for other, vendors in self.barred)
            and (self.disclosed is None or _holds(self.disclosed, vendor))
        )


def decode(value: object) -> TcfConsent:
    """Raises SignalUnreadable."""
    text = signal_text(value)
    if text.startswith(GPP_FIRST_CHARACTER):
        raise SignalUnreadable("it is a GPP string, where a TCF string belongs")
    if not text.startswith(FIRST_CHARACTER):
        raise SignalUnreadable("it is no TCF string of version 2")
    core, *others = text.split(".")
    if not all(_SEGMENT.fullmatch(segment) for segment in (core, *others)):
        raise SignalUnreadable("a part is empty, or has characters that base64url does not have")
    decoded = _core(core)
    return TcfConsent(
        vendor_list=decoded.vendor_list_version,
        purposes=frozenset(number for number, given in decoded.purposes_consent.items() if given),
        vendors=_vendors(decoded),
        barred=tuple(
            (entry.purpose_id, _checked(entry.restrictions_range))
            for entry in decoded.pub_restriction_entries
            if entry.restriction_type != _REQUIRES_CONSENT
        ),
        disclosed=_disclosed(others),
    )


def _core(segment: str) -> ConsentV2:
    try:
        decoded = ConsentV2(base64_decode(segment))
    except Exception:  # noqa: BLE001 - the package lets through whatever breaks in it
        raise SignalUnreadable("it cannot be decoded") from None
    reader = decoded._reader  # noqa: SLF001 - only there stands how far it read
    if reader._pointer > len(reader._consent):  # noqa: SLF001
        raise SignalUnreadable("it is shorter than its layout")
    if reader._consent[reader._pointer :].any():  # noqa: SLF001
        raise SignalUnreadable("it is longer than its layout")
    return decoded


def _vendors(decoded: ConsentV2) -> Ids:
    if decoded.is_consent_range_encoding:
        return _checked(decoded.consented_vendors_range, decoded.max_consent_vendor_id)
    return tuple((number, number) for number, given in decoded.consented_vendors.items() if given)


def _disclosed(segments: Iterable[str]) -> Ids | None:
    found: Ids | None = None
    for segment in segments:
        bits = Bits(segment)
        if bits.integer(3) != _DISCLOSED_VENDORS:
            continue
        if found is not None:
            raise SignalUnreadable("it has two lists of disclosed vendors")
        found = _optimized_ids(bits)
    return found


def _optimized_ids(bits: Bits) -> Ids:
    """An `OptimizedIntRange`: the largest id, then a bit for each id, or ranges."""
    largest = bits.integer(16)
    if not bits.integer(1):
        return tuple((number, number) for number in range(1, largest + 1) if bits.integer(1))
    return _checked([_range(bits) for _ in range(bits.integer(12))], largest)


def _range(bits: Bits) -> tuple[int, int]:
    is_group = bits.integer(1)
    first = bits.integer(16)
    return first, bits.integer(16) if is_group else first


def _checked(ranges: Iterable[tuple[int, int]], largest: int = 0xFFFF) -> Ids:
    found = tuple((first, last) for first, last in ranges)
    if not all(1 <= first <= last <= largest for first, last in found):
        raise SignalUnreadable("a range of vendors runs backwards, or beyond the largest id")
    return found


def _holds(ids: Ids, number: int) -> bool:
    return any(first <= number <= last for first, last in ids)

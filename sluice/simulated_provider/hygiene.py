"""An address-hygiene house: addresses in one form, and whether post arrives there. Invented, and always the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

_SHORT = {
    "street": "ST", "road": "RD", "avenue": "AV", "circuit": "CCT", "crescent": "CR", "place": "PL", "drive": "DR",
    "court": "CT", "close": "CL", "parade": "PDE", "terrace": "TCE", "highway": "HWY", "lane": "LA",
}  # fmt: skip
"""Street types as Australia Post abbreviates them (AS 4590)."""
_DWELLING = re.compile(r"\b(unit|flat|apartment)\b")
_MOVED_OF = 20
_CONFIDENCE = 0.9

Values = list[dict[str, Any]]
"""As `schemas/provider_reply` has them."""


def standardised(record: Mapping[str, Any]) -> Values:
    """What is found out about the address of a customer record.

    Deliverability as postal services code it: Y yes, S without the part within the building, D that part is missing,
    N no.
    """
    street = " ".join(str(record["address_street"] or "").lower().split())
    found = {
        "street": " ".join(_SHORT.get(word, word.upper()) for word in street.split()),
        "city": " ".join(str(record["address_city"] or "").upper().split()),
        "postal_code": str(record["address_postal_code"] or "").strip(),
        "deliverability": _code(street, record.get("address_street2")),
        "moved": _has_moved(street),
        "moved_on": "2026-07-01" if _has_moved(street) else None,
    }
    return [{"field": name, "value": value, "confidence": _CONFIDENCE} for name, value in found.items()]


def _code(street: str, within: str | None) -> str:
    if re.match(r"\d", street) is None:
        return "N"
    if within is None:
        return "Y"
    return "D" if _DWELLING.search(within.lower()) else "S"


def _has_moved(street: str) -> bool:
    return blake2b(street.encode(), digest_size=2).digest()[0] % _MOVED_OF == 0

"""Who is refused without being asked for: most partners of most customers, for reasons that all alike share.

A customer's refusals are one byte for each party, in the view's order: the number of a reason. A contract that does not
apply to a customer costs that byte; no outcome is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sluice.model import Reason
from sluice.ruling import Ruling
from stream_processors.sharing.batch import Batch
from stream_processors.sharing.parties import FormerPartnership, Party
from stream_processors.sharing.pipeline import Case, Gone

NUMBERS: Final = {reason: number for number, reason in enumerate(Reason)}
ASKED: Final = 255
"""In the place of a reason: the party holds something, or may be given something, and has an outcome of its own."""
_LABELS: Final = [reason.value for reason in Reason]
_MOST: Final = 1 << 14


class Refusals:
    """Among these parties."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self._parties = parties
        self._places = {party.partner: place for place, party in enumerate(parties)}
        self._known: dict[object, bytes] = {}

    def of(self, case: Case) -> bytearray:
        """For each party why it is refused, whatever `reconcile` would find in the profile, or ASKED."""
        ruling = case.ruling
        alike: object = _reason_for_all(case) if ruling is None else ruling.denials
        known = self._known.get(alike)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[alike] = bytes([_refusal(party, case, ruling) for party in self._parties])
        refused = bytearray(known)
        for partner in case.row.held:
            place = self._places.get(partner)
            if place is not None:
                refused[place] = ASKED
        return refused

    def asked(self, refused: bytearray) -> list[Party]:
        """The parties that are not refused, in their order."""
        return [self._parties[place] for place in asked_places(refused)]

    def tell(self, batch: Batch) -> None:
        """Count what was withheld from each party as outcomes."""
        for refused, count in batch.refused.items():
            for party, reason in zip(self._parties, refused, strict=True):
                if reason != ASKED:
                    batch.came[party.partner, "withheld", _LABELS[reason]] += count


def asked_places(refused: bytearray) -> list[int]:
    """Searched for, not gone through: they are few among many."""
    places = []
    place = refused.find(ASKED)
    while place >= 0:
        places.append(place)
        place = refused.find(ASKED, place + 1)
    return places


def _refusal(party: Party, case: Case, ruling: Ruling | None) -> int:
    if isinstance(party, FormerPartnership):
        return NUMBERS[Reason.CONTRACT_ENDED]
    if ruling is None:
        return NUMBERS[_reason_for_all(case)]
    denied = ruling.denials.by_partner.get(party.partner)
    return ASKED if denied is None else NUMBERS[denied.reason]


def _reason_for_all(case: Case) -> Reason:
    """Without a ruling there is no profile, or it cannot be read."""
    return case.profile.reason if isinstance(case.profile, Gone) else Reason.PROFILE_NOT_READ_YET

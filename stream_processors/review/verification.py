"""The proof: partner topics, disclosures and recomputation of one partition say the same, or where they do not. Pure.

1. Topic and disclosures have to agree at every cut, for they are written in one transaction.
2. In a settled partition both have to agree with the recomputation.
3. In one that is not, who holds less is waiting (LOOP 12), and who holds something else is pending.
4. Of whom something was disclosed after the cut is moving, for the topics are ahead; whose update may be compacted away
   is indeterminate. Neither ever counts as equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sluice.log import Record
from sluice.model import RESTRICTED, CustomerId, Held, Millis, PartnerId, Pseudonym
from stream_processors.review import account, recomputing
from stream_processors.review.account import Case
from stream_processors.review.apache_avro import Codec, Unreadable
from stream_processors.review.comparing import Comparison, Disclosed, Standing, compared, delivered_as_disclosed
from stream_processors.review.evidence import Evidence, Testimony
from stream_processors.review.findings import UNRESOLVED, Difference, Doubt, Fault, Figures, State
from stream_processors.review.recomputing import Answer, Book, Kept, Known, Refused


class Finding(NamedTuple):
    """Of one customer at one partner."""

    partner: PartnerId
    state: State
    holds: bool = False
    doubt: Doubt | None = None
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """One customer at every partner."""

    customer: CustomerId
    findings: tuple[Finding, ...]
    unreadable: Difference | None = None
    """What is held is not known."""

    @property
    def is_resolved(self) -> bool:
        """Looking again at another cut would add nothing: a difference is one, whatever becomes of it later."""
        if self.unreadable is not None or any(finding.difference is not None for finding in self.findings):
            return True
        return not any(f.state in UNRESOLVED and f.doubt is not Doubt.KEY_DESTROYED for f in self.findings)

    def count(self, figures: Figures) -> None:
        for finding in self.findings:
            figures.count(finding.partner, finding.state, holds=finding.holds, doubt=finding.doubt)
            if finding.difference is not None:
                figures.differ(finding.difference)
        if self.unreadable is not None:
            figures.differ(self.unreadable)


def verify(evidence: Evidence, book: Book) -> Figures:
    """The whole of one partition at one cut."""
    figures = Figures()
    for customer in evidence.customers():
        examine(customer, evidence, book).count(figures)
    for difference in (*strangers(evidence), *misplaced(evidence)):
        figures.differ(difference)
    return figures


def examine(customer: CustomerId, evidence: Evidence, book: Book) -> Examined:
    """One customer at every partner; tells the evidence what the partners call them.

    Raises SluiceError when a schema cannot be had for now.
    """
    testimony = evidence.testimony(customer)
    cut = evidence.cut
    try:
        disclosed = _folded(testimony, book.codec)
    except _DisclosureUnreadable as error:
        for partner in book.agreements:
            _standing(customer, partner, None, evidence, book)
        return Examined(customer, (), account.about_disclosure(error.record, Fault.DISCLOSURE_UNREADABLE))
    partners = sorted({*book.agreements, *disclosed})
    standings = {one: _standing(customer, one, disclosed.get(one), evidence, book) for one in partners}
    known = recomputing.known(testimony, book)
    cases = (
        Case(partner, standing, testimony, known, _answer(standing, known, book, cut.now), cut)
        for partner, standing in standings.items()
    )
    return Examined(customer, tuple(_found(case, book) for case in cases))


def strangers(evidence: Evidence) -> Iterator[Difference]:
    """Records in partners' topics that belong to nobody; to be asked for when every customer was examined."""
    for partner, pseudonym, delivered in evidence.strangers():
        yield account.stranger(partner, pseudonym, delivered, evidence.cut)


def misplaced(evidence: Evidence) -> Iterator[Difference]:
    """Disclosures that lie in the wrong partition, where no restart would find them."""
    for record in evidence.misplaced_disclosures():
        yield account.about_disclosure(record, Fault.WRONG_PARTITION)


class _DisclosureUnreadable(Exception):
    def __init__(self, record: Record) -> None:
        super().__init__(recomputing.place(record))
        self.record = record


def _folded(testimony: Testimony, codec: Codec) -> dict[PartnerId, Disclosed]:
    """What is held is the fold of the disclosures, and nothing else (LOOP 16)."""
    fold: dict[PartnerId, Disclosed] = {}
    for record in testimony.disclosures:
        try:
            entries = codec.read(record.value)["entries"]
        except Unreadable:
            raise _DisclosureUnreadable(record) from None
        for entry in entries:
            partner, pseudonym = PartnerId(entry["partner"]), Pseudonym(entry["pseudonym"])
            before = fold[partner].pseudonyms if partner in fold else frozenset()
            held = None if entry["action"] == "RECALLED" else _held(entry)
            fold[partner] = Disclosed(held, record.offset, before | {pseudonym})
    return fold


def _held(entry: dict[str, Any]) -> Held:
    names = ("pseudonym", "key_epoch", "contract", "fields", "digest", "consents", "rules", "expires_at")
    told: dict[str, Any] = {name: tuple(found) if isinstance(found := entry[name], list) else found for name in names}
    return Held(**told, rectified_at=entry.get("rectified_at"), restricted=entry["reason"] in RESTRICTED)


def _standing(
    customer: CustomerId, partner: PartnerId, disclosed: Disclosed | None, evidence: Evidence, book: Book
) -> Standing:
    agreement = book.agreements.get(partner)
    pseudonyms = set(disclosed.pseudonyms if disclosed else ())
    if agreement is not None:
        pseudonyms.add(agreement.pseudonym(customer))
    delivered = {}
    for pseudonym in sorted(pseudonyms):
        evidence.name(partner, pseudonym, customer)
        found = evidence.delivered(partner, pseudonym)
        if found is not None:
            delivered[pseudonym] = found
    return Standing(agreement, disclosed, delivered)


def _found(case: Case, book: Book) -> Finding:
    """See the module's four sentences."""
    return _moving(case, book) if case.testimony.moved else _standing_still(case, book)


def _moving(case: Case, book: Book) -> Finding:
    """The partners' topics are ahead of the cut; inputs and disclosures are not, and are compared with each other."""
    if case.cut.settled and case.testimony.certain:
        apart = replace(case.standing, delivered={})
        comparison = compared(apart, case.answer, case.cut.now, book.codec)
        if comparison.faults and not _only_sealed(comparison, case.answer):
            return Finding(case.partner, State.DIFFERENT, difference=account.difference(case, comparison))
    return Finding(case.partner, State.MOVING)


def _standing_still(case: Case, book: Book) -> Finding:
    standing, cut = case.standing, case.cut
    holds = standing.held is not None
    judged = cut.settled and case.testimony.certain
    faults = delivered_as_disclosed(standing)
    if faults or judged:
        recomputed = compared(standing, case.answer, cut.now, book.codec) if judged else Comparison(frozenset())
        comparison = replace(recomputed, faults=recomputed.faults | faults)
        if _only_sealed(comparison, case.answer):
            return Finding(case.partner, State.INDETERMINATE, doubt=Doubt.KEY_DESTROYED)
        if comparison.faults:
            return Finding(case.partner, State.DIFFERENT, difference=account.difference(case, comparison))
        return Finding(case.partner, State.EQUAL, holds)
    if not case.testimony.certain:
        return Finding(case.partner, State.INDETERMINATE, doubt=Doubt.SUPERSEDED)
    return Finding(case.partner, _unsettled(case, book), holds)


def _answer(standing: Standing, known: Known, book: Book, now: Millis) -> Answer:
    if standing.agreement is None:
        return recomputing.ENDED
    return recomputing.answer(known, standing.agreement, book, now, standing.held)


def _only_sealed(comparison: Comparison, answer: Answer) -> bool:
    """Destroying a key reconciles nobody, so records from before it are right, and cannot be recomputed."""
    if isinstance(answer, Kept) or not answer.sealed:
        return False
    if isinstance(answer, Refused):
        return comparison.faults <= {Fault.HELD_WITHOUT_REASON} and bool(comparison.faults)
    return comparison.faults == {Fault.VALUE_DIFFERS} and set(comparison.fields) <= answer.sealed


def _unsettled(case: Case, book: Book) -> State:
    """Of a partition where not everybody is reconciled; its topic is as disclosed."""
    standing, now = case.standing, case.cut.now
    if not compared(standing, case.answer, now, book.codec).faults:
        return State.EQUAL
    held, agreement = standing.held, standing.agreement
    if held is None:
        return State.WAITING
    if agreement is None:
        return State.PENDING
    narrow = recomputing.narrow_answer(case.known, agreement, book, now, held)
    return State.PENDING if compared(standing, narrow, now, book.codec).faults else State.WAITING

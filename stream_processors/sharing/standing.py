"""Answers that stand: while they do, an update is projected for who holds something, and nothing is asked anew.

What was found for a customer holds for the next update too if that changes values and nothing else: there is no consent
event, no due time, no other contract set, and none of the facts changes that laws ask for. Then only the bytes of the
records can differ, and they are all that is made. Whatever is in doubt takes the full way, which alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from sluice import keys, topics
from sluice.avro import Undecodable
from sluice.decision import Denied, Permitted
from sluice.keys import NoKey
from sluice.log import Record
from sluice.model import CustomerId, Held, Millis, PartnerId, Reason
from sluice.projection import Projector, Scanned
from sluice.redaction import Customer
from sluice.ruling import Ruling
from sluice.store import Row
from sluice.stored import DIGEST_BYTES, Stored, parts
from sluice.wire import varint
from stream_processors.sharing import folding
from stream_processors.sharing.batch import Batch, Situation
from stream_processors.sharing.output import COVERS, Output, decision_basis
from stream_processors.sharing.parties import FormerPartnership, Partnership, Party
from stream_processors.sharing.pipeline import Case
from stream_processors.sharing.refusals import NUMBERS, asked_places
from stream_processors.sharing.view import View

_HEAD: Final = Struct(">Hqq8sHH")
"""How many hold something; the first instant at which time alone may change an answer; the offset that updates must not
have reached; the view's mark; how many parties there are; how long the facts are. Behind it stand, for each party, why
it holds nothing; the facts; the shares; and their digests.
"""
_SHARE: Final = Struct(">8s22sH")
"""Of one who holds something: what the record is made by, the pseudonym, how long the evidence is that follows."""
_LONGEST: Final = (1 << 16) - 1
"""Of a part whose length stands in two bytes."""
_NEVER: Final = 1 << 62
_LENGTH_OF_PSEUDONYM: Final = varint(keys.PSEUDONYM_CHARACTERS)
_LENGTH_OF_DIGEST: Final = varint(DIGEST_BYTES)
_LENGTH_OF_DECISION: Final = varint(keys.PSEUDONYM_CHARACTERS)
_NO_KEY: Final = NoKey.NOT_ISSUED
_MOST_MAKERS: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class _Maker:
    """What records with the same fields for the same partner are made by."""

    topic: str
    projector: Projector
    fields: tuple[str, ...]
    digest_key: bytes
    partner: PartnerId
    begun: bytes
    basis: bytes
    """The parts of the disclosure's entry around the pseudonym."""
    shared: tuple[PartnerId, str, str]
    unchanged: tuple[PartnerId, str, str]
    """Labels of the outcomes."""


class _Head(NamedTuple):
    """What stands first in a standing answer, and where the rest begins."""

    withheld: bytes
    facts: bytes
    shares_at: int
    digests_at: int


class StandingAnswers:
    """Under one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._paths = view.policy.law.paths
        self._mark = _mark(view)
        self._makers: dict[bytes, _Maker] = {}
        self._names: dict[tuple[PartnerId, tuple[str, ...]], bytes] = {}

    def of(self, case: Case, after: Row, refused: bytearray) -> bytes:
        """What stands now that the customer is reconciled, as `sluice.stored` has it; empty: nothing does.

        `after`: the row that came of it, with what is held in the order of the view's parties. `refused`: those who
        were not asked for, as `Refusals` has them.
        """
        profile, ruling, held = case.profile, case.ruling, after.held
        waits = after.widen_at is not None and not held
        if ruling is None or not isinstance(profile, Scanned) or not (case.may_widen or waits):
            return b""
        facts = profile.stated(self._paths)
        if facts is None or len(facts) > _LONGEST:
            return b""
        withheld = bytearray(refused)
        shares: list[bytes] = []
        digests: list[bytes] = []
        for place in asked_places(refused):
            party = self._view.parties[place]
            mine = held.get(party.partner)
            if mine is None:
                reason = _reason(party, ruling, waits=waits)
                if reason is None:
                    return b""
                withheld[place] = NUMBERS[reason]
            else:
                share = self._share(party, mine, ruling)
                if share is None:
                    return b""
                shares.append(share)
                digests.append(mine.digest)
        if len(shares) != len(held):
            return b""
        until = _NEVER if after.due_at is None else after.due_at
        below = _NEVER if after.widen_at is None else after.widen_at
        head = _HEAD.pack(len(shares), until, below, self._mark, len(withheld), len(facts))
        return b"".join((head, withheld, facts, *shares, *digests))

    def _share(self, party: Party, held: Held, ruling: Ruling) -> bytes | None:
        """None: more than its values may change with an update."""
        if isinstance(party, FormerPartnership) or not _is_plain(party):
            return None
        answer = ruling.answer(party.partner)
        if not isinstance(answer, Permitted):
            return None
        stands = (
            held.contract == party.contract
            and held.key_epoch == party.keys.epoch
            and held.fields == answer.fields
            and held.consents == answer.consents
            and held.rules == answer.rules
            and held.expires_at == answer.until
        )
        pseudonym = held.pseudonym.encode()
        if not stands or len(pseudonym) != keys.PSEUDONYM_CHARACTERS or len(held.digest) != DIGEST_BYTES:
            return None
        evidence = self._view.writers.disclosure.evidence(held)
        if len(evidence) > _LONGEST:
            return None
        return _SHARE.pack(self._maker(party, held), pseudonym, len(evidence)) + evidence

    def _maker(self, party: Partnership, held: Held) -> bytes:
        """Its name."""
        partner = party.partner
        name = self._names.get((partner, held.fields))
        if name is None:
            if len(self._makers) >= _MOST_MAKERS:
                self._makers.clear()
                self._names.clear()
            writer = self._view.writers.disclosure
            begun, basis = writer.begun(partner, "SHARED"), writer.basis(held)
            name = self._names[partner, held.fields] = blake2b(begun + basis, digest_size=8).digest()
            self._makers[name] = _Maker(
                topics.customers(partner),
                party.projector,
                held.fields,
                party.keys.digest,
                partner,
                begun + _LENGTH_OF_PSEUDONYM,
                basis + _LENGTH_OF_DIGEST,
                (partner, "shared", ""),
                (partner, "unchanged", ""),
            )
        return name

    def repeat(
        self, customer: CustomerId, stored: bytes, updates: Sequence[Record], situation: Situation, batch: Batch
    ) -> bool:
        """Whether an answer stands for a customer with these updates; then the batch has what they come to."""
        try:
            row = parts(stored)
        except ValueError:
            return False  # who reads the whole row says so
        standing, head = row.standing, self._head(row.standing, situation)
        profile = None if head is None else self._newest(updates)
        if head is None or profile is None or profile.stated(self._paths) != head.facts:
            return False
        now = situation.moment.now
        covers = [folding.pointer(record) for record in updates]
        basis = decision_basis(customer, now, covers)
        writers = self._view.writers
        at, digests_at = head.shares_at, head.digests_at
        pieces = [standing[:digests_at]]
        written: list[Output] = []
        entries: list[bytes] = []
        came: list[tuple[PartnerId, str, str]] = []
        for digest_at in range(digests_at, len(standing), DIGEST_BYTES):
            name, pseudonym, length = _SHARE.unpack_from(standing, at)
            at += _SHARE.size
            maker = self._makers.get(name)
            if maker is None:
                return False
            if not _is_let_through(maker.projector, profile, now):
                return False
            record = maker.projector.project(profile, maker.fields, Customer(customer, pseudonym.decode(), _NO_KEY))
            if not isinstance(record, bytes):
                return False
            digest = keys.keyed_digest(maker.digest_key, record)
            pieces.append(digest)
            if digest == standing[digest_at : digest_at + DIGEST_BYTES]:
                came.append(maker.unchanged)
            else:
                came.append(maker.shared)
                written.append(Output(maker.topic, pseudonym, record))
                decision = keys.decision_id(writers.decision_key, maker.partner, basis).encode()
                evidence = standing[at : at + length]
                entries += (maker.begun, pseudonym, maker.basis, digest, evidence, _LENGTH_OF_DECISION, decision)
            at += length
        if written:
            disclosure = writers.disclosure.write(covers[-COVERS:], now, writers.contract_set, len(written), entries)
            written.append(Output(topics.DISCLOSURES, customer.encode(), disclosure))
            batch.outputs += written
        for one in came:
            batch.came[one] += 1
        batch.refused[head.withheld] += 1
        batch.repeated[customer] = Stored(b"".join(pieces), updates[-1].value, row.rest).encoded()
        return True

    def _head(self, standing: bytes, situation: Situation) -> _Head | None:
        """None: nothing stands, or not any more."""
        if not standing:
            return None
        count, until, below, mark, parties, facts_length = _HEAD.unpack_from(standing)
        if mark != self._mark or until <= situation.moment.now or below <= situation.reached:
            return None
        facts_at = _HEAD.size + parties
        shares_at = facts_at + facts_length
        digests_at = len(standing) - DIGEST_BYTES * count
        return _Head(standing[_HEAD.size : facts_at], standing[facts_at:shares_at], shares_at, digests_at)

    def _newest(self, updates: Sequence[Record]) -> Scanned | None:
        """The profile in the last of these updates; None: one of them cannot be read, or says something else."""
        found: Scanned | None = None
        for update in updates:
            if update.value is None:
                return None
            try:
                profile = self._view.source.read(update.value)
            except Undecodable:
                return None
            if not isinstance(profile, Scanned):
                return None
            found = profile
        return found


def _reason(party: Party, ruling: Ruling, *, waits: bool) -> Reason | None:
    """Why the party holds nothing, whatever the profile says; None: it depends on that."""
    if isinstance(party, FormerPartnership):
        return Reason.CONTRACT_ENDED
    answer = ruling.answer(party.partner)
    if isinstance(answer, Denied):
        return answer.reason
    if party.paused:
        return Reason.CONTRACT_PAUSED
    return Reason.WAITING_FOR_UPDATES if waits else None


def _is_plain(party: Partnership) -> bool:
    """Whether the answer alone says until when, and values and keys of ours alone make the record."""
    return not party.projector.sealed and party.terms.retain_ms is None and not party.paused


def _is_let_through(projector: Projector, profile: Scanned, now: Millis) -> bool:
    """By the contract's row filter, whatever the time will be."""
    return projector.admits(profile, now) and projector.next_change(profile, now) is None


def _mark(view: View) -> bytes:
    """Changes whenever the same update may come to something else."""
    said = [view.policy.stamp.hex(), view.contract_set, *NUMBERS]
    for party in view.parties:
        said.append(party.partner)
        if isinstance(party, Partnership):
            said += (party.contract, str(party.keys.epoch), str(party.paused))
    return blake2b("\n".join(said).encode(), digest_size=8).digest()

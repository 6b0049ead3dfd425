"""Lost disclosures: who is identified, what is an orphan, and what is written and committed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from schemas import catalogue
from sluice import keys, topics
from sluice.contract import partner_schema
from sluice.errors import SluiceError
from sluice.facts import FactPaths
from sluice.keys import PartnerKeys, keyed_digest
from sluice.law.loading import shipped_packs
from sluice.log import Bounds, Committed, Positions, Record
from sluice.model import CustomerId, Held, Millis, PartnerId, Pseudonym
from sluice.recorded_set import RecordedPartner, RecordedSet, texts
from sluice.store import Row
from stream_processors.lost_disclosures import recovering
from stream_processors.lost_disclosures.identification import Holdings, Recipient
from stream_processors.lost_disclosures.recipients import recipients
from stream_processors.lost_disclosures.recovering import Finding, Recoverer
from stream_processors.sharing import checkpoint, folding
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from tests.unit.installation import DISCLOSURE, HOSHI, IDENTITY, NOW, Installation

CARD, POST = PartnerId("hoshi-card"), PartnerId("adresso")
A, B, C = CustomerId("crm:1"), CustomerId("crm:2"), CustomerId("crm:3")
NOTHING = Committed(None, "")
STRANGER = b"nobody-can-be-called-so"


@pytest.fixture
def installation() -> Installation:
    return Installation()


def recipient(installation: Installation, partner: PartnerId = CARD, epochs: int = 1) -> Recipient:
    numbers = range(epochs, 0, -1)
    epoch_keys = tuple(PartnerKeys.of(installation.master, partner, number) for number in numbers)
    return Recipient(partner, epoch_keys, "digest", {"address_street": "address.street"}, 1_000)


def name(installation: Installation, customer: CustomerId, epoch: int = 1, partner: PartnerId = CARD) -> Pseudonym:
    return keys.pseudonym(PartnerKeys.of(installation.master, partner, epoch).record, customer)


def card_record(installation: Installation, **fields: str) -> bytes:
    """Three fields, of which some may be null."""
    nothing = dict.fromkeys(("given_name", "family_name", "email"))
    return record(installation, nothing | fields)


def record(installation: Installation, fields: Mapping[str, str | None]) -> bytes:
    """As the partner's schema has it."""
    contract = next(one for one in installation.contracts.contracts if one.partner == CARD)
    shelf = installation.shelf
    return shelf.writer(shelf.id_of(partner_schema(contract))).write(dict(fields))


def holdings(installation: Installation, epochs: int = 1) -> Holdings:
    return Holdings({CARD: recipient(installation, epochs=epochs)}, installation.decode)


def names(found: Holdings) -> list[str]:
    return [pseudonym for _, pseudonym, _ in found.orphans()]


# --- who is identified


def test_a_customer_is_known_by_their_pseudonym_and_what_is_held_by_the_record(installation: Installation) -> None:
    found, value = holdings(installation), card_record(installation, given_name="Hana", email="h@example.com")
    found.see(CARD, name(installation, A).encode(), 7, value)
    digest = keyed_digest(PartnerKeys.of(installation.master, CARD, 1).digest, value)
    held = Held(name(installation, A), 1, "digest", ("given_name", "email"), digest, (), (), None)
    assert found.identify(B) == {}
    assert found.identify(A) == {CARD: held}
    assert names(found) == []


def test_a_field_stands_under_its_source_path_or_under_its_own_name(installation: Installation) -> None:
    one = Installation({**HOSHI, "fields": {"address.street": "keep", "email": "keep"}}, shelf=installation.shelf)
    value = record(one, {"address_street": "x", "email": "y"})
    found = holdings(one)
    found.see(CARD, name(one, A).encode(), 7, value)
    assert found.identify(A)[CARD].fields == ("address.street", "email")


def test_a_recalled_record_is_held_by_nobody(installation: Installation) -> None:
    found = holdings(installation)
    found.see(CARD, name(installation, A).encode(), 7, card_record(installation))
    found.see(CARD, name(installation, A).encode(), 8, None)
    assert found.identify(A) == {}
    assert names(found) == []


def test_names_of_earlier_epochs_are_known_too_and_the_newest_counts(installation: Installation) -> None:
    found = holdings(installation, epochs=3)
    found.see(CARD, name(installation, A, 2).encode(), 1, card_record(installation))
    found.see(CARD, name(installation, B, 1).encode(), 2, card_record(installation))
    found.see(CARD, name(installation, B, 3).encode(), 3, card_record(installation))
    found.see(CARD, name(installation, C, 4).encode(), 4, card_record(installation))
    value = card_record(installation)
    assert found.identify(A)[CARD].key_epoch == 2
    assert found.identify(A) == {}, "once"
    held = found.identify(B)[CARD]
    assert held.key_epoch == 3
    assert held.digest == keyed_digest(PartnerKeys.of(installation.master, CARD, 3).digest, value)
    assert found.identify(C) == {}
    assert sorted(names(found)) == sorted([name(installation, B, 1), name(installation, C, 4)])


def test_a_record_that_cannot_be_read_is_an_orphan(installation: Installation) -> None:
    found = holdings(installation)
    found.see(CARD, name(installation, A).encode(), 7, b"\x00\x00\x00\x63\x63x")
    assert found.identify(A) == {}
    assert names(found) == [name(installation, A)]


# --- partners as the recorded sets know them


def recorded(installation: Installation, *, ended: bool = False, key: str = "", **changes: Any) -> RecordedSet:  # noqa: ANN401
    """With the card's contract; or with another's, and the card's has ended."""
    other = {"partner": POST} if ended else {}
    with shipped_packs() as packs:
        laws = texts(packs, ("*.yaml",))
    return RecordedSet(
        contracts={"one.yaml": yaml.safe_dump({**HOSHI, **changes, **other})},
        laws=laws,
        source_schema=catalogue.text("customer_profile"),
        source_priority=(),
        facts={name: getattr(FactPaths(), name) for name in FactPaths.__slots__},
        partners=(RecordedPartner(CARD, "1", "2", 5_000, ended),),
        master_key=key or installation.master.fingerprint,
    )


def test_a_partner_is_known_by_all_its_contracts_that_are_recorded(installation: Installation) -> None:
    sets = [
        recorded(installation, fields={"address.street": "keep"}, pseudonym_epoch=3),
        recorded(installation, pseudonym_epoch=2),
    ]
    one = recipients(sets, installation.master)[CARD]
    assert [epoch.epoch for epoch in one.epochs] == [3, 2, 1]
    assert one.paths["address_street"] == "address.street"
    assert one.paths["given_name"] == "given_name"
    assert one.contract == recipients(sets[1:], installation.master)[CARD].contract
    assert one.acknowledge_within_ms == 5_000


def test_a_partner_without_contract_is_known_by_what_it_had(installation: Installation) -> None:
    sets = [recorded(installation), recorded(installation, ended=True)]
    assert [epoch.epoch for epoch in recipients(sets, installation.master)[CARD].epochs] == [1]
    assert recipients(sets[1:], installation.master)[CARD].epochs == ()


def test_a_set_of_another_master_key_is_left_out_unless_it_is_in_force(installation: Installation) -> None:
    sets = [recorded(installation, key="another", pseudonym_epoch=5), recorded(installation)]
    assert [epoch.epoch for epoch in recipients(sets, installation.master)[CARD].epochs] == [1]
    with pytest.raises(SluiceError, match="another master key"):
        recipients(sets[::-1], installation.master)


# --- what is lost, written and committed


@dataclass
class Partition:
    """One partition of every topic, with its transactions and the offsets of the group."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    lows: dict[str, int] = field(default_factory=dict)
    committed_now: Committed = NOTHING
    transactions: list[int] = field(default_factory=list)
    open: list[Record] | None = None

    def append(self, topic: str, key: bytes, value: bytes | None, at: int = NOW) -> Record:
        kept = self.records.setdefault(topic, [])
        offset = kept[-1].offset + 1 if kept else self.lows.get(topic, 0)
        kept.append(Record(topic, 0, offset, key, value, at))
        return kept[-1]

    def lose(self, topic: str) -> None:
        """All records are deleted; offsets go on."""
        self.lows[topic] = self.high(topic)
        self.records[topic] = []

    def truncate(self, topic: str, to: int) -> None:
        self.records[topic] = [record for record in self.records[topic] if record.offset < to]

    def high(self, topic: str) -> int:
        kept = self.records.get(topic)
        return kept[-1].offset + 1 if kept else self.lows.get(topic, 0)

    # --- as the log

    def bounds(self, names: Collection[str], _partition: int) -> dict[str, Bounds]:
        return {topic: Bounds(self.lows.get(topic, 0), self.high(topic)) for topic in names}

    def committed(self, partitions: frozenset[int]) -> dict[int, Committed]:
        return dict.fromkeys(partitions, self.committed_now)

    def read(self, topic: str, _partition: int, start: int, stop: int) -> Iterator[Record | None]:
        yield None
        yield from [record for record in self.records.get(topic, ()) if start <= record.offset < stop]

    def begin(self) -> None:
        assert self.open is None
        self.open = []

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp: int) -> None:
        assert self.open is not None
        self.open.append(Record(topic, partition, 0, key, value, timestamp))

    def flush(self) -> Mapping[int, int]:
        assert self.open is not None
        written = [self.append(r.topic, r.key or b"", r.value, r.timestamp) for r in self.open]
        ends = [record.offset + 1 for record in written if record.topic == topics.DISCLOSURES]
        return {0: ends[-1]} if ends else {}

    def commit(self, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        assert self.open is not None
        self.transactions.append(len(self.open))
        self.open = None
        if positions:
            self.committed_now = Committed(positions[0], metadata[0])


class Story:
    """A partition with customers that are shared with the card, as a processor left it."""

    def __init__(self, installation: Installation, *shared: CustomerId, disclosed: bool = True) -> None:
        self.installation = installation
        self.log = Partition()
        for customer in shared:
            self.log.append(topics.CUSTOMER_UPDATES, customer.encode(), installation.profile())
            self.log.append(topics.CONSENT_EVENTS, customer.encode(), installation.answer(customer, CARD, 0))
            value = card_record(installation, given_name=customer)
            self.log.append(topics.customers(CARD), name(installation, customer).encode(), value)
            self.disclose(customer, "SHARED", value)
        if disclosed:
            self.commit()

    def disclose(self, customer: CustomerId, action: str, value: bytes | None) -> None:
        digest = None
        if value is not None:
            digest = keyed_digest(PartnerKeys.of(self.installation.master, CARD, 1).digest, value)
        entry = {"partner": CARD, "action": action, "reason": None, "pseudonym": name(self.installation, customer)}
        rest = {"key_epoch": 1, "contract": "c", "fields": ["given_name"], "digest": digest, "consents": ["r"]}
        last = {"rules": ["ZZ"], "expires_at": None, "decision_id": "d"}
        told = {"covers": [], "decided_at": NOW, "contract_set": "s", "entries": [entry | rest | last]}
        self.log.append(topics.DISCLOSURES, customer.encode(), self.installation.shelf.writer(DISCLOSURE).write(told))

    def recall(self, customer: CustomerId) -> None:
        self.log.append(topics.customers(CARD), name(self.installation, customer).encode(), None)
        self.disclose(customer, "RECALLED", None)

    def commit(self, identity: Identity = IDENTITY) -> None:
        at = self.log.high(topics.DISCLOSURES)
        positions = Positions(self.log.high(topics.CUSTOMER_UPDATES), self.log.high(topics.CONSENT_EVENTS))
        self.log.committed_now = Committed(positions, Checkpoint(identity, "set", True, at, NOW).encode())

    @property
    def work(self) -> Recoverer:
        known = {CARD: recipient(self.installation), POST: recipient(self.installation, POST)}
        return Recoverer(self.log, self.installation.view(), known, IDENTITY, lambda _: None)  # type: ignore[arg-type]

    def recover(self, now: int = NOW + 1) -> Finding:
        loss = self.work.loss(0)
        assert loss is not None
        seen = self.work.find(loss)
        done = self.work.recover(loss, Millis(now))
        assert seen == done, "what was shown is what was done"
        assert self.work.loss(0) is None
        return done

    def fold(self, start: int) -> dict[str, dict[PartnerId, Pseudonym]]:
        """What the disclosures say is held, from an offset on."""
        rows: dict[str, Row] = {}
        for record in self.log.records[topics.DISCLOSURES]:
            if record.offset >= start:
                customer = (record.key or b"").decode()
                told = self.installation.decode(record.value)
                rows[customer] = folding.with_disclosure(rows.get(customer, Row()), told)
        return {c: {p: one.pseudonym for p, one in row.held.items()} for c, row in rows.items() if row.held}

    @property
    def now(self) -> Checkpoint:
        return checkpoint.decode(self.log.committed_now.metadata)

    def standing(self) -> set[str]:
        newest = {record.key: record.value for record in self.log.records[topics.customers(CARD)]}
        return {(key or b"").decode() for key, value in newest.items() if value is not None}


def test_nothing_is_lost_while_the_log_is_whole(installation: Installation) -> None:
    assert Story(installation, A, B).work.loss(0) is None
    assert Story(installation, disclosed=False).work.loss(0) is None, "nothing was ever shared"


def test_lost_disclosures_are_written_anew_and_offsets_stay(installation: Installation) -> None:
    story = Story(installation, A, B)
    before = story.log.committed_now
    story.log.lose(topics.DISCLOSURES)
    found = story.recover()
    assert (found.customers, dict(found.held), dict(found.orphans)) == (2, {CARD: 2}, {})
    after = story.now
    assert story.log.committed_now.positions == before.positions
    assert (after.evidence_from, after.disclosures, after.settled) == (2, 4, False)
    assert (after.contract_set, after.now) == ("set", NOW + 1)
    assert story.fold(after.evidence_from).keys() == {A, B}
    assert story.log.transactions == [2], "one transaction, with the offsets"
    told = installation.decode(story.log.records[topics.DISCLOSURES][0].value)
    (entry,) = told["entries"]
    assert (entry["action"], entry["fields"], entry["consents"], entry["reason"]) == (
        "SHARED",
        ["given_name"],
        [],
        None,
    )


def test_the_time_of_decisions_never_goes_back(installation: Installation) -> None:
    story = Story(installation, A)
    story.log.lose(topics.DISCLOSURES)
    story.recover(now=NOW - 5)
    assert story.now.now == NOW


def test_an_orphan_is_recalled(installation: Installation) -> None:
    story = Story(installation, A)
    story.log.append(topics.customers(CARD), STRANGER, card_record(installation))
    story.log.lose(topics.DISCLOSURES)
    found = story.recover()
    assert dict(found.orphans) == {CARD: 1}
    assert story.standing() == {name(installation, A)}
    (message,) = [installation.decode(r.value) for r in story.log.records[topics.control(CARD)]]
    assert (message["customer"], message["type"]) == (STRANGER.decode(), "WITHDRAW")
    assert message["deadline"] == NOW + 1 + 1_000
    assert {record.key for record in story.log.records[topics.DISCLOSURES]} == {A.encode()}


def test_who_is_known_by_a_consent_event_or_a_disclosure_alone_is_no_orphan(installation: Installation) -> None:
    story = Story(installation, A, B, C)
    story.log.records[topics.CUSTOMER_UPDATES] = []
    story.log.records[topics.CONSENT_EVENTS] = story.log.records[topics.CONSENT_EVENTS][:1]
    story.log.lows[topics.DISCLOSURES] = 1
    story.log.records[topics.DISCLOSURES] = story.log.records[topics.DISCLOSURES][1:]
    found = story.recover()
    assert (dict(found.held), dict(found.orphans)) == ({CARD: 3}, {})


def test_the_log_says_the_same_from_wherever_it_is_folded(installation: Installation) -> None:
    """Its end was lost, with a recall in it: what is left tells of somebody whom nobody holds any more."""
    story = Story(installation, A, B)
    cut = story.log.high(topics.DISCLOSURES)
    story.recall(A)
    story.commit()
    story.log.truncate(topics.DISCLOSURES, cut)
    assert story.fold(0).keys() == {A, B}
    found = story.recover()
    assert found.recalled == 1
    assert story.fold(0) == story.fold(story.now.evidence_from) == {B: {CARD: name(installation, B)}}


def test_pieces_are_committed_with_the_last_of_them(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "PIECE", 2)
    everybody = [CustomerId(f"crm:{number}") for number in range(5)]
    story = Story(installation, *everybody)
    story.log.lose(topics.DISCLOSURES)
    before = story.log.committed_now
    loss = story.work.loss(0)
    assert loss is not None
    dying = story.work
    flush, flushed = story.log.flush, iter(range(2))
    monkeypatch.setattr(story.log, "flush", lambda: flush() if next(flushed, None) is not None else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dying.recover(loss, NOW)
    assert (story.log.committed_now, story.log.transactions) == (before, [2, 2])
    monkeypatch.setattr(story.log, "flush", flush)
    story.log.open = None
    story.log.transactions = []
    assert story.recover().held == {CARD: 5}
    assert story.log.transactions == [2, 2, 1]
    assert story.now.evidence_from == 9, "behind what the interrupted run left"
    assert story.fold(0) == story.fold(9)


def test_nothing_held_means_an_empty_evidence(installation: Installation) -> None:
    story = Story(installation, A)
    story.recall(A)
    story.commit()
    story.log.lose(topics.DISCLOSURES)
    story.recover()
    assert (story.now.evidence_from, story.now.disclosures) == (2, 2)


def test_a_group_that_never_committed_finds_what_partners_hold(installation: Installation) -> None:
    story = Story(installation, A, disclosed=False)
    story.log.records[topics.DISCLOSURES] = []
    found = story.recover()
    assert dict(found.held) == {CARD: 1}
    assert story.log.committed_now.positions == Positions(0, 0), "everything is read from the beginning"


def test_offsets_of_another_world_and_lost_answers_are_refused(installation: Installation) -> None:
    story = Story(installation, A)
    story.commit(Identity("cluster", "other topics"))
    with pytest.raises(SluiceError, match="re-created"):
        story.work.loss(0)
    story.commit()
    story.log.lose(topics.DISCLOSURES)
    story.log.lose(topics.CONSENT_EVENTS)
    with pytest.raises(SluiceError, match="Restore that topic first"):
        story.work.loss(0)

"""What has to hold after every step, checked against the whole history that the cluster keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sluice import topics
from sluice.keys import keyed_digest
from sluice.log import Positions
from sluice.model import CustomerId, Millis, PartnerId
from sluice.partitioning import partition_of
from sluice.store import Row, Store, Unusable
from stream_processors.sharing import checkpoint
from tests.simulation import oracle
from tests.simulation.installation import PARTITIONS, PARTNERS, installation
from tests.simulation.memory_cluster import Cluster, Entry, Place, State, Transaction
from tests.simulation.memory_log import CONFIRMED, DRIVING, JOINED, MemoryLog
from tests.simulation.oracle import Rules
from tests.simulation.process import Process

CUSTOMER_TOPICS = {topics.customers(partner): partner for partner in PARTNERS}
CONTROL_TOPICS = {topics.control(partner): partner for partner in PARTNERS}
_KEEPING = ("RESTRICT", "RECTIFY")
_UNUSED = ("processing_restricted", "still_restricted")
Holdings = dict[CustomerId, dict[PartnerId, dict[str, Any]]]
"""The newest disclosure of what each partner holds, by customer."""


class Violation(Exception):
    """Something that has to hold does not."""


def require(holds: bool, letter: str, what: str) -> None:  # noqa: FBT001
    if not holds:
        raise Violation(f"({letter}) {what}")


@dataclass(slots=True)
class Standing:
    """What is committed in one partition, from when it is decided."""

    positions: Positions
    now: Millis
    disclosures: int
    settled: bool = False
    contract_set: str = ""


class Audit:
    def __init__(
        self, cluster: Cluster, customers: tuple[str, ...], processes: Callable[[], Mapping[str, Process]]
    ) -> None:
        self._cluster = cluster
        self._customers = customers
        self._processes = processes
        self.standing: dict[int, Standing] = {}
        self.held: dict[int, Holdings] = {number: {} for number in range(PARTITIONS)}
        self.topics: dict[Place, dict[bytes, bytes]] = {}
        """What who reads committed records holds, by key."""
        self.latest = Millis(0)
        """The newest time of decision that was committed."""
        self.commits = 0
        cluster.appended = self._appended
        cluster.decided = self._decided

    # --- produced, committed or not

    def _appended(self, place: Place, entry: Entry) -> None:
        if entry.transaction is None or entry.transaction.name not in self._processes():
            return
        self._is_on_lease(self._process(entry.transaction))
        if entry.value is None:
            return
        if place[0] in CUSTOMER_TOPICS:
            self._is_justified(place, entry, self._process(entry.transaction))
        elif place[0] == CONFIRMED:
            self._is_timely(place[1], entry, self._process(entry.transaction))

    def _process(self, transaction: Transaction) -> Process:
        return self._processes()[transaction.name]

    def _is_on_lease(self, process: Process) -> None:
        """(a) One record at the most, when the process was stopped on its way to write it."""
        if process.outside.now - process.fetched_at >= self._cluster.group.session_timeout_ms + 1:
            process.late += 1
        require(process.late <= 1, "a", "a process writes on when its partitions may be somebody else's")

    def _is_justified(self, place: Place, entry: Entry, process: Process) -> None:
        """(a) The inputs below the offsets that this batch's barrier found allow every value in the record."""
        partner, number = CUSTOMER_TOPICS[place[0]], place[1]
        customer, epoch = installation().named(partner, (entry.key or b"").decode(), self._customers)
        rules, log = _rules(process, entry), _log(process)
        contract = rules.contract(partner)
        require(
            contract is not None and epoch == contract.get("pseudonym_epoch", 1),
            "a",
            f"{partner} gets {customer} without a contract, or under the pseudonym of another epoch",
        )
        require(
            log.barrier[number].joined_stable >= log.stable_at_fetch[number],
            "a",
            f"{customer} is judged with a barrier that was read before the updates were fetched",
        )
        record = oracle.read_record(entry.value or b"")
        read = min(log.joined_reached(number), log.barrier[number].joined_stable)
        known = oracle.profiles(self._cluster, number, customer, log.driving_reached(number))
        options = [
            oracle.allowed(rules, partner, update, oracle.said(self._cluster, number, customer, read, unread=unread))
            for update in known
            for unread in (False, True)
        ]
        justified = any(one is not None and record.items() <= one.record.items() for one in options)
        require(justified, "a", f"{partner} gets {customer} {record}, and the inputs do not justify it: {options}")

    def _is_timely(self, number: int, entry: Entry, process: Process) -> None:
        """(a) Who or what is added was changed by no update that came before the newest grant relied on."""
        customer = CustomerId((entry.key or b"").decode())
        disclosure = installation().schemas.decode(entry.value)
        for one in disclosure["entries"]:
            partner = PartnerId(one["partner"])
            before = self.held[number].get(customer, {}).get(partner)
            if one["action"] == "RECALLED" or (before and set(one["fields"]) <= set(before["fields"])):
                continue
            log = _log(process)
            ends = log.barrier[number]
            require(
                log.joined_reached(number) >= ends.joined_stable,
                "a",
                f"{customer} is added at {partner} before all consent events were read",
            )
            rules = _rules(process, entry)
            paused = (rules.contract(partner) or {}).get("paused", False)
            require(not paused, "a", f"{customer} is added at {partner}, whose contract is paused")
            nobodys = oracle.of_nobody(self._cluster, number, ends.joined_stable)
            unseen = set(nobodys) - rules.acknowledged
            require(not unseen, "a", f"{customer} is added at {partner}, and nobody knows whom {unseen} is about")
            self._has_read(number, customer, one, log.driving_reached(number))

    def _has_read(self, number: int, customer: CustomerId, entry: dict[str, Any], reached: int) -> None:
        granted: dict[str, int] = {}
        cluster = self._cluster
        for event in oracle.of(cluster, JOINED, number, customer, cluster.logs[JOINED, number].high):
            record = oracle.decoded(event.value)
            if record is not None:
                granted.setdefault(record["record_id"], event.sequence)
        newest = max((granted[grant] for grant in entry["consents"]), default=0)
        updates = list(oracle.of(cluster, DRIVING, number, customer, cluster.logs[DRIVING, number].high))
        unread = [one for one in updates if one.offset >= reached and one.sequence < newest]
        require(not unread, "a", f"{customer} is added at {entry['partner']} before update {unread} was read")

    # --- committed

    def _decided(self, transaction: Transaction) -> None:
        if transaction.state is not State.COMMITTED or transaction.name not in self._processes():
            return
        self.commits += 1
        process = self._process(transaction)
        process.fetches = 0
        self._recalls_are_told(transaction)
        self._fold(transaction)
        touched = {place[1] for place, _ in transaction.entries}
        for number in touched:
            self._partners_hold_what_was_disclosed(number)
        for number, positions in transaction.positions.items():
            self._moves(process, number, positions)
            self._stands(process, number, positions, transaction.metadata[number])

    def _recalls_are_told(self, transaction: Transaction) -> None:
        """(b) A tombstone for what is held alone, with one control message; no such message without a tombstone.

        Whoever is to keep or to put right what it holds gets no tombstone.
        """
        recalled: Counter[tuple[PartnerId, bytes]] = Counter()
        told: Counter[tuple[PartnerId, bytes]] = Counter()
        for (topic, number), entry in transaction.entries:
            if topic in CUSTOMER_TOPICS and entry.value is None:
                partner, key = CUSTOMER_TOPICS[topic], entry.key or b""
                recalled[partner, key] += 1
                held = {h[partner]["pseudonym"].encode() for h in self.held[number].values() if partner in h}
                require(key in held, "b", f"{partner} gets a tombstone for {key!r}, which it does not hold")
            elif topic in CONTROL_TOPICS:
                message = installation().schemas.decode(entry.value)
                require(message["customer"].encode() == entry.key, "b", "a control message is about somebody else")
                if message["type"] not in _KEEPING:
                    told[CONTROL_TOPICS[topic], entry.key or b""] += 1
        require(recalled == told, "b", f"tombstones {recalled} and control messages {told} in one transaction")

    def _fold(self, transaction: Transaction) -> None:
        for place, entry in transaction.entries:
            if place[0] == CONFIRMED:
                disclosed(self.held[place[1]], entry)
            elif place[0] in CUSTOMER_TOPICS and entry.key is not None:
                seen = self.topics.setdefault(place, {})
                if entry.value is None:
                    seen.pop(entry.key, None)
                else:
                    seen[entry.key] = entry.value

    def _partners_hold_what_was_disclosed(self, number: int) -> None:
        """(c) The fold of what is committed as disclosed is what partners hold."""
        for topic, partner in CUSTOMER_TOPICS.items():
            said = {
                held[partner]["pseudonym"].encode(): (held[partner]["key_epoch"], held[partner]["digest"])
                for held in self.held[number].values()
                if partner in held
            }
            seen = self.topics.get((topic, number), {})
            keys = {epoch: installation().keys[partner, epoch].digest for epoch, _ in said.values()}
            holds = said.keys() == seen.keys() and all(
                keyed_digest(keys[epoch], seen[key]) == digest for key, (epoch, digest) in said.items()
            )
            require(holds, "c", f"{partner} holds {sorted(seen)}, and disclosed is {sorted(said)}, or other bytes")

    def _moves(self, process: Process, number: int, to: Positions) -> None:
        """(e) Every input record is passed once, was given to who passes it, and is where it belongs."""
        standing = self.standing.get(number)
        since = standing.positions if standing else Positions(0, 0)
        log = _log(process)
        self._waits_long_enough(number, log, since.joined, to.joined)
        for topic, old, new in ((DRIVING, since.driving, to.driving), (JOINED, since.joined, to.joined)):
            partition, given = self._cluster.logs[topic, number], log.given[topic, number]
            require(old <= new <= partition.high, "e", f"{topic}/{number} goes from {old} to {new}")
            for entry in partition.history[old:new]:
                if not entry.is_committed:
                    continue
                offset = entry.offset
                passed = offset in given.offsets or offset in partition.compacted
                require(passed, "e", f"{topic}/{number}@{offset} is passed, and was never read")
                if offset in given.offsets:
                    self._is_where_it_belongs(topic, number, entry)

    def _waits_long_enough(self, number: int, log: MemoryLog, old: int, new: int) -> None:
        """(a) What a yes has to wait for was read after it: no update from before it lies beyond."""
        asked = [entry.sequence for entry in self._cluster.logs[JOINED, number].history[old:new] if entry.is_committed]
        beyond = self._cluster.logs[DRIVING, number].history[log.barrier[number].driving_high :]
        early = [entry.offset for entry in beyond if entry.sequence < max(asked, default=0)]
        require(not early, "a", f"updates {early} of {number} came before consent events that do not wait for them")

    def _is_where_it_belongs(self, topic: str, number: int, entry: Entry) -> None:
        if oracle.is_placed(entry, number) or not entry.key or (topic == DRIVING and entry.value is not None):
            return
        if not oracle.names_somebody(entry.key):
            return
        rightful = self._cluster.logs[topic, partition_of(entry.key, PARTITIONS)].history
        again = any(
            one.key == entry.key and one.value == entry.value and one.sequence > entry.sequence for one in rightful
        )
        require(again, "e", f"misplaced {topic}/{number}@{entry.offset} is passed, and was not written again")

    def _stands(self, process: Process, number: int, positions: Positions, metadata: str) -> None:
        committed = checkpoint.decode(metadata)
        before = self.standing.get(number)
        require(before is None or before.now <= committed.now, "e", "the time of decisions went back")
        latest = max(self.latest, int(process.outside.now + process.believed_skew_ms)) + 2_000
        require(committed.now <= latest, "e", "a batch was committed at a time that the clock jumped to")
        self.latest = max(self.latest, committed.now)
        self.standing[number] = Standing(
            positions, committed.now, committed.disclosures, committed.settled, committed.contract_set
        )
        if committed.settled:
            acknowledged = _rules(process, None).acknowledged
            rules = Rules(committed.contract_set, acknowledged, committed.now)
            self.view_is_what_the_inputs_say(number, positions, rules)

    def view_is_what_the_inputs_say(self, number: int, at: Positions, rules: Rules) -> None:
        """(f) Each partner holds of everybody what the inputs below these offsets allow, value by value."""
        for partner in PARTNERS:
            seen = dict(self.topics.get((topics.customers(partner), number), {}))
            contract = rules.contract(partner) or {}
            for customer in oracle.customers_of(self._cluster, number):
                epoch = contract.get("pseudonym_epoch", 1)
                found = seen.pop(installation().pseudonym(partner, epoch, customer).encode(), None)
                holds = None if found is None else oracle.read_record(found)
                consents = oracle.said(self._cluster, number, customer, at.joined)
                known = oracle.profiles(self._cluster, number, customer, at.driving)
                options = [oracle.allowed(rules, partner, update, consents) for update in known]
                wanted = [None if one is None else one.record for one in options]
                kept = self.held[number].get(customer, {}).get(partner)
                if kept is not None and kept["reason"] in _UNUSED:
                    right = any(oracle.may_keep(rules, partner, update, consents, kept) for update in known)
                    require(right, "f", f"{partner} keeps {holds} of {customer}, under {rules} at {number}:{at}")
                    continue
                right = holds in wanted or (contract.get("paused", False) and _is_part(holds, wanted))
                what = f"{partner} holds of {customer} {holds}, not {wanted}, under {rules} at {number}:{at}"
                require(right, "f", what)
            require(not seen, "f", f"{partner} holds {sorted(seen)}, which is nobody's")

    # --- stored

    def stored(self, process: Process, number: int) -> None:
        """(d) The store is not ahead of what is committed, and says of what is held what the disclosures say."""
        store = Store(process.stores.database(number))
        try:
            meta, rows = store.meta(), list(store)
        except Unusable:  # it was damaged, and nobody noticed yet
            return
        if meta is None:
            return
        standing = self.standing.get(number)
        most = (*standing.positions, standing.disclosures) if standing else (0, 0, 1 << 30)
        have = (meta.updates, meta.consents, meta.disclosures)
        ahead = any(one > limit for one, limit in zip(have, most, strict=True))
        require(not ahead, "d", f"the store of {number} has folded {have}, and {most} is committed")
        folded: Holdings = {}
        for entry in self._cluster.logs[CONFIRMED, number].history[: meta.disclosures]:
            if entry.is_committed:
                disclosed(folded, entry)
        stored = {
            customer: {partner: (held.pseudonym, held.digest, held.fields) for partner, held in row.held.items()}
            for customer, row in rows
            if row.held
        }
        said = {
            customer: {p: (h["pseudonym"], h["digest"], tuple(h["fields"])) for p, h in held.items()}
            for customer, held in folded.items()
            if held
        }
        require(stored == said, "d", f"the store of {number} holds {stored}, and disclosed is {said}")
        known = dict(rows)
        for customer in oracle.customers_of(self._cluster, number):
            consents = known.get(customer, Row()).consents
            events = oracle.said(self._cluster, number, customer, meta.consents).events
            same = len(consents.events) == len(events) and set(consents.events) == set(events)
            require(
                same or bool(consents.unread),
                "d",
                f"the store of {number} knows of {customer} {consents}, and said was {events}",
            )


def disclosed(held: Holdings, entry: Entry) -> None:
    """One disclosure folded into what is held."""
    of = held.setdefault(CustomerId((entry.key or b"").decode()), {})
    for one in installation().schemas.decode(entry.value)["entries"]:
        partner = PartnerId(one["partner"])
        if one["action"] == "RECALLED":
            of.pop(partner, None)
        else:
            of[partner] = one


def _is_part(holds: oracle.Fields | None, wanted: list[oracle.Fields | None]) -> bool:
    """A paused partner is added nothing: less than what is allowed is right too."""
    return holds is None or any(one is not None and holds.items() <= one.items() for one in wanted)


def _log(process: Process) -> MemoryLog:
    assert process.log is not None
    return process.log


def _rules(process: Process, entry: Entry | None) -> Rules:
    assert process.sets is not None
    view = process.sets.view
    return Rules(view.contract_set, view.acknowledged, Millis(entry.timestamp if entry else 0))

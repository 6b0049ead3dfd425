"""Those who write the inputs: customers' updates and answers, right ones and wrong ones, in no order to rely on."""

from __future__ import annotations

from random import Random
from typing import Any

from sluice import topics
from sluice.model import CustomerId, PartnerId
from sluice.partitioning import partition_of
from tests.simulation.installation import (
    ADRESSO,
    HOSHI,
    LISTMART,
    MAX_BYTES,
    MINUTE,
    PARTITIONS,
    SETS,
    START,
    installation,
)
from tests.simulation.memory_cluster import Cluster, Entry, Transaction

CUSTOMERS = tuple(CustomerId(f"crm:{number}") for number in range(1, 7))
_DAY = 24 * 60 * MINUTE
_PURPOSES = {contract["partner"]: contract["purpose"] for written in SETS.values() for contract in written}
_KINDS = {HOSHI: "partner", ADRESSO: "processor", LISTMART: "third_party_sale"}
_NEGATIVES = ("WITHDRAWN", "WITHDRAWN", "WITHDRAWN", "REFUSED", "OBJECTED", "OPTED_OUT")
_UPDATES, _CONSENTS = topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS


class Producers:
    def __init__(self, rng: Random, cluster: Cluster) -> None:
        self._rng = rng
        self._cluster = cluster
        self._numbered = 0
        self._upstream: Transaction | None = None
        self.written = 0

    # --- customers' updates

    def update(self) -> str:
        return self._write(_UPDATES, self._customer(), self._profile())

    def delete(self) -> str:
        return self._write(_UPDATES, self._customer(), None)

    def update_again(self) -> str:
        """A producer's duplicate, or one that was overtaken."""
        place, entry = self._earlier(_UPDATES)
        return self._append(place, entry.key, entry.value) if entry else "nothing to write again"

    def update_wrongly(self) -> str:
        """Undecodable, without a key, too large, or lacking what a contract requires."""
        rng, customer = self._rng, self._customer()
        match rng.randrange(5):
            case 0:
                return self._append((_UPDATES, rng.randrange(PARTITIONS)), rng.choice((None, b"\xff")), b"lost")
            case 1:
                return self._write(_UPDATES, customer, self._profile(given_name="L" * MAX_BYTES))
            case 2:
                return self._write(_UPDATES, customer, self._profile(family_name=None, address=None))
            case 3:
                return self._write(_UPDATES, customer, (self._profile() or b"")[:-3])
            case _:
                return self._write(_UPDATES, customer, b"\x00\x00\x00\x03\xe7 of an unknown schema")

    def misplace(self) -> str:
        """By a client with another partitioner."""
        customer = self._customer()
        value, topic = self._rng.choice(
            ((None, _UPDATES), (self._profile(), _UPDATES), (self._said(customer), _CONSENTS))
        )
        wrong = (partition_of(customer.encode(), PARTITIONS) + 1) % PARTITIONS
        return self._append((topic, wrong), customer.encode(), value)

    # --- customers' answers

    def consent(self) -> str:
        customer = self._customer()
        return self._write(_CONSENTS, customer, self._said(customer))

    def grant(self) -> str:
        customer = self._customer()
        return self._write(_CONSENTS, customer, self._said(customer, state="GIVEN"))

    def withdraw(self) -> str:
        customer = self._customer()
        return self._write(_CONSENTS, customer, self._said(customer, state=self._rng.choice(_NEGATIVES)))

    def update_and_grant(self) -> str:
        """Somebody comes back: the profile is changed, or deleted, and a grant follows at once."""
        customer = self._customer()
        value = self._rng.choice((None, self._profile()))
        first = self._write(_UPDATES, customer, value)
        return f"{first}; {self._write(_CONSENTS, customer, self._said(customer, state='GIVEN'))}"

    def grant_for_a_time(self) -> str:
        customer, rng = self._customer(), self._rng
        now = START + (int(self._cluster.clock()) - START) // MINUTE * MINUTE
        start = rng.choice((None, None, now + rng.randrange(1, 5) * MINUTE))
        until = rng.choice((None, now + rng.randrange(1, 15) * MINUTE, now + rng.randrange(1, 15) * MINUTE))
        times = {"valid_from": start, "valid_until": until}
        return self._write(_CONSENTS, customer, self._said(customer, state="GIVEN", **times))

    def consent_again(self) -> str:
        place, entry = self._earlier(_CONSENTS)
        return self._append(place, entry.key, entry.value) if entry else "nothing to write again"

    def consent_wrongly(self) -> str:
        """Undecodable, or about somebody else than its key says."""
        customer = self._customer()
        value = self._rng.choice((b"unreadable", self._said(CustomerId("crm:0")), None))
        return self._write(_CONSENTS, customer, value)

    def consent_of_nobody(self) -> str:
        place = (_CONSENTS, self._rng.randrange(PARTITIONS))
        return self._append(place, self._rng.choice((None, b"", b"\xff")), self._said(self._customer()))

    # --- a producer that uses transactions, which it should not

    def upstream(self) -> str:
        """Begins, writes or ends a transaction in the consents' topic."""
        cluster, rng = self._cluster, self._rng
        if self._upstream is None:
            self._upstream = cluster.begin("upstream", cluster.initialise("upstream"))
        elif self._upstream.epoch != cluster.ids["upstream"].epoch or rng.random() < 0.3:
            return self.end_upstream()
        customer = self._customer()
        place = (_CONSENTS, partition_of(customer.encode(), PARTITIONS))
        cluster.write(self._upstream, place, customer.encode(), self._said(customer), int(cluster.clock()))
        return f"upstream transaction writes about {customer}"

    def end_upstream(self) -> str:
        transaction, self._upstream = self._upstream, None
        if transaction is None or transaction.epoch != self._cluster.ids["upstream"].epoch:
            return "upstream transaction is over"
        if self._rng.random() < 0.7:
            self._cluster.commit(transaction)
            return "upstream transaction is committed"
        self._cluster.abort(transaction)
        return "upstream transaction is aborted"

    # --- what they write

    def _customer(self) -> CustomerId:
        return self._rng.choice(CUSTOMERS)

    def _profile(self, **changes: Any) -> bytes:  # noqa: ANN401 - any field of the profile
        rng, one = self._rng, installation()
        self._numbered += 1
        country = rng.choice(("JP", "JP", "JP", "AU", "DE"))
        address = {
            "street": f"{rng.randrange(9)} Street",
            "postal_code": rng.choice(("100", "200")),
            "country": country,
        }
        profile = {
            "customer_id": "",
            "given_name": rng.choice(("Hana", "Yuki", None)),
            "family_name": rng.choice(("Mori", "Sato", "Kato")),
            "email": f"{self._numbered}@example.com",
            "birth_date": rng.choice((4_000, 8_000)),
            "residence": rng.choice(("AU",) * 8 + ("DE",)),
            "address": address,
            "restricted": rng.random() < 0.05,
            "deceased": rng.random() < 0.02,
            "updated_at": START + rng.choice((-400_000, -_DAY + rng.randrange(1, 15) * MINUTE)),
        }
        writer = one.profile_next if rng.random() < 0.2 else one.profile
        return writer.write(profile | changes)

    def _said(self, customer: CustomerId, **changes: Any) -> bytes:  # noqa: ANN401 - any field of the event
        rng, one = self._rng, installation()
        self._numbered += 1
        partner: PartnerId = rng.choice((HOSHI, HOSHI, HOSHI, ADRESSO, LISTMART))
        at = int(self._cluster.clock()) - rng.choice((0, 0, 0, 1_000, 90_000))
        event = {
            "record_id": f"r{self._numbered}",
            "subject_id": customer,
            "purpose": _PURPOSES[partner],
            "recipient_scope": {"category": _KINDS[partner], "partner_ids": [partner]},
            "data_scope": rng.choice((["*"], ["*"], ["*"], ["*"], ["user.name"], ["user.contact.email", "user.name"])),
            "state": rng.choice(("GIVEN",) * 8 + (*_NEGATIVES, "REQUESTED")),
            "expression": "explicit",
            "actor": "subject",
            "event_time": at,
            "recorded_at": at,
        }
        writer = one.consent_next if rng.random() < 0.2 else one.consent
        return writer.write(event | changes)

    # --- how they write

    def _write(self, topic: str, customer: CustomerId, value: bytes | None) -> str:
        return self._append((topic, partition_of(customer.encode(), PARTITIONS)), customer.encode(), value)

    def _append(self, place: tuple[str, int], key: bytes | None, value: bytes | None) -> str:
        self.written += 1
        entry = self._cluster.append(place, key, value)
        return f"{place[0]}/{place[1]}@{entry.offset} is written: {key!r} {'null' if value is None else ''}"

    def _earlier(self, topic: str) -> tuple[tuple[str, int], Entry | None]:
        place = (topic, self._rng.randrange(PARTITIONS))
        known = [one for one in self._cluster.logs[place].history if not one.is_marker and one.transaction is None]
        return place, self._rng.choice(known) if known else None

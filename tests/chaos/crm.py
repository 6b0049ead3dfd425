"""A seeded CRM that never rests, and that is not always right.

Some customers change all the time and most seldom. Events come twice and out of order now and then; a few are garbage,
and a few are put into the wrong partition by a client that partitions by CRC32. A few customers are spoiled for good by
consents that cannot be read; none has a null key, for that one needs an operator.
"""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message

from sluice import topics
from sluice.kafka.clients import idempotent_producer
from sluice.model import PartnerId
from tests.integration.installation import PARTITIONS, PARTNERS, Installation, now_ms

_T = TypeVar("_T")

LONGEST_GRANT_MS = 10_000
"""Of those that expire."""
_SPOILED = 20
"""Customers to whom all garbage happens."""
_REMEMBERED = 200
_SKEW = 0.5
"""Exponent of the power law: a tenth of the customers get a third of the events."""
_RESIDENCES: Mapping[str | None, int] = {"AU": 60, "JP": 25, "DE": 5, "US-CA": 5, None: 5}
_STATES = {"GIVEN": 60, "WITHDRAWN": 25, "REFUSED": 5, "OBJECTED": 5, "EXPIRED": 5}
_COUNTRIES = {"AU": 70, "JP": 20, "NZ": 10}


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of all events, the rest being profiles."""

    consents: float = 0.2
    deletions: float = 0.02
    repeated: float = 0.02
    """Sent again as they were, though others came in between."""
    garbage: float = 0.001
    misplaced: float = 0.0005
    expiring: float = 0.2
    """Of the grants: for some seconds."""


@dataclass(frozen=True, slots=True)
class _Event:
    topic: str
    key: bytes
    value: bytes | None
    partition: int = -1
    """-1: where it belongs."""


class Crm:
    def __init__(self, installation: Installation, seed: int, customers: int, mix: Mix | None = None) -> None:
        self._installation = installation
        self._chance = random.Random(seed)
        self._mix = mix or Mix()
        self._customers = [f"crm:{number}" for number in range(customers)]
        self._weights = list(accumulate((rank + 1) ** -_SKEW for rank in range(customers)))
        self._producer = self._connected()
        self._recent: deque[_Event] = deque(maxlen=_REMEMBERED)
        self._number = 0
        self._name = f"{seed}-{now_ms()}"
        self.acknowledged = 0
        self.failed = 0

    def send(self, events: int) -> None:
        """Queue so many events, and let the broker take what it takes."""
        for _ in range(events):
            self._number += 1
            event = self._again() if self._recent and self._happens(self._mix.repeated) else self._new()
            self._recent.append(event)
            self._produce(event)
        self._producer.poll(0)

    def introduce(self) -> None:
        """Every customer once, with a profile and a grant for each partner."""
        for customer in self._customers:
            self._number += 1
            self._produce(_Event(topics.CUSTOMER_UPDATES, customer.encode(), self._profile(customer)))
            for partner in PARTNERS:
                self._number += 1
                self._produce(self._consent(customer, partner, "GIVEN", until=None))

    def settle(self, seconds: float) -> bool:
        """Wait until the broker has acknowledged everything."""
        return int(self._producer.flush(seconds)) == 0

    def _produce(self, event: _Event) -> None:
        while True:
            try:
                self._producer.produce(
                    event.topic, event.value, event.key, partition=event.partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                if not error.args[0].fatal():
                    raise
                self._producer = self._connected()  # one that lost its place begins anew, as its CRM would
            else:
                return

    def _connected(self) -> Any:  # noqa: ANN401 - the library's class takes no further arguments of its own kind
        return idempotent_producer(self._installation.settings.client("crm"))

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.failed += 1

    def _new(self) -> _Event:
        if self._happens(self._mix.garbage):
            return self._garbage()
        customer = self._chance.choices(self._customers, cum_weights=self._weights)[0]
        if self._happens(self._mix.consents):
            state = self._one_of(_STATES)
            until = self._until() if state == "GIVEN" and self._happens(self._mix.expiring) else None
            event = self._consent(customer, self._chance.choice(PARTNERS), state, until=until)
        else:
            gone = self._happens(self._mix.deletions)
            event = _Event(topics.CUSTOMER_UPDATES, customer.encode(), None if gone else self._profile(customer))
        return _misplaced(event) if self._happens(self._mix.misplaced) else event

    def _again(self) -> _Event:
        return self._chance.choice(self._recent)

    def _profile(self, customer: str) -> bytes:
        number, chance = self._number, self._chance
        address = {
            "street": f"{number} Long Street",
            "city": "Melbourne",
            "state": "VIC",
            "postal_code": f"{chance.randrange(1_000_000):06}" if self._happens(0.95) else None,
            "country": self._one_of(_COUNTRIES),
        }
        tier = {"tier": chance.choice(("BRONZE", "SILVER", "GOLD"))} if self._happens(0.5) else None
        return self._installation.profile(
            customer,
            given_name=f"Name{number}",
            family_name="Mori" if self._happens(0.95) else None,
            email=f"a{number}@example.com",
            address=address,
            loyalty=tier,
            residence=self._one_of(_RESIDENCES),
            restricted=self._happens(0.01),
            updated_at=now_ms(),
        )

    def _consent(self, customer: str, partner: PartnerId, state: str, *, until: int | None) -> _Event:
        said_at = now_ms() - self._chance.randrange(2_000)  # out of order: what was said first may come last
        event = self._installation.consent(
            customer,
            partner,
            state,
            at=said_at,
            record_id=f"{self._name}-{self._number}",
            expression="explicit",
            valid_until=until,
            notice={"id": "notice-1", "version": "1", "names_recipients": list(PARTNERS)},
        )
        return _Event(topics.CONSENT_EVENTS, customer.encode(), self._installation.consent_writer.write(event))

    def _until(self) -> int:
        return now_ms() + self._chance.randrange(1_000, LONGEST_GRANT_MS)

    def _garbage(self) -> _Event:
        """Of one of the customers that have bad luck; undecodable, or about somebody else."""
        customer = f"crm:spoiled-{self._chance.randrange(_SPOILED)}"
        whole = self._profile(customer)
        consent = self._consent(customer, self._chance.choice(PARTNERS), "GIVEN", until=None).value or b""
        topic, value = self._chance.choice(
            (
                (topics.CUSTOMER_UPDATES, whole[: len(whole) // 2]),
                (topics.CUSTOMER_UPDATES, whole + b"\0"),
                (topics.CUSTOMER_UPDATES, b"garbage"),
                (topics.CUSTOMER_UPDATES, whole),
                (topics.CONSENT_EVENTS, consent),
                (topics.CONSENT_EVENTS, consent[: len(consent) // 2]),
                (topics.CONSENT_EVENTS, self._consent("crm:0", PARTNERS[0], "GIVEN", until=None).value),
            )
        )
        return _Event(topic, customer.encode(), value)

    def _one_of(self, weights: Mapping[_T, int]) -> _T:
        return self._chance.choices(tuple(weights), tuple(weights.values()))[0]

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share


def _misplaced(event: _Event) -> _Event:
    """Where a client puts it that partitions by CRC32, librdkafka's default."""
    return _Event(event.topic, event.key, event.value, zlib.crc32(event.key) % PARTITIONS)

"""From an update's acknowledgement to the partner that has read it, beside a transactional loop that does nothing.

    python -m tests.bench.compare.latency [--customers 20000] [--rates 100 1000 3000] [--seconds 20]

Everybody consents. Customers have one update each when it begins; once the processor has worked that off, updates of
different customers come at a rate, and the first partner reads. The bare loop (`tests.bench.compare.bare`) is asked the
same. Times are on one clock of the machine, in milliseconds, and count from when the broker acknowledged the update to
its producer. Prints one JSON object, and writes it to build/bench/latency.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from sluice import keys, topics
from sluice.kafka.admin import high_watermarks
from sluice.kafka.clients import admin_client
from sluice.keys import PartnerKeys, load_master_key
from sluice.model import CustomerId, PartnerId
from sluice.partitioning import partition_of
from tests.bench import w1
from tests.bench.compare.contestants import FOLDER, OURS, Contestant, circumstances, say, started
from tests.bench.compare.field import PARTITIONS, Field, Watch, add_updates, create_topics, field

VARIANT = w1.Variant(consenting=1.0)
PARTNER = PartnerId(next(iter(VARIANT.parties)))
_COPIES = "bare.copies"
BARE = Contestant(
    "bare loop", "bench.bare", (sys.executable, "-m", "tests.bench.compare.bare", "{settings}", "{group}", _COPIES)
)
_QUIET_SECONDS = 2.0
_ARRIVES_SECONDS = 60.0
_TICK_SECONDS = 0.005


class Load(NamedTuple):
    rates: Sequence[int]
    """Updates a second, one rate after the other."""
    seconds: float
    warm_up_seconds: float
    """Before each rate is measured: a broker that was just started is slow, for everybody."""


class Delivery(NamedTuple):
    """Where a customer's record arrives, and under which key."""

    topic: str
    keys: Mapping[bytes, bytes] | None = None
    """By the key of the update; None: it is the same."""


class Partner:
    """Who consumes what comes out: notes when it first has each key."""

    def __init__(self, there: Field, topic: str) -> None:
        client = there.settings.client("admin")
        ends = high_watermarks(admin_client(client), [(topic, number) for number in range(PARTITIONS)])
        own = {"group.id": "bench.reader", "isolation.level": "read_committed", "fetch.wait.max.ms": 5}
        self.seen: dict[bytes, float] = {}
        self._consumer = Consumer({**client, **own, "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(topic, number, end) for (_, number), end in ends.items()])
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._read, name="partner")
        self._thread.start()

    def wait_for(self, wanted: Iterable[bytes]) -> None:
        deadline, missing = time.monotonic() + _ARRIVES_SECONDS, set(wanted)
        while missing := missing - self.seen.keys():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not deliver {len(missing)} records within {_ARRIVES_SECONDS:.0f} s")
            time.sleep(_TICK_SECONDS)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._ends.is_set():
            messages = self._consumer.consume(1_000, _TICK_SECONDS / 2)
            now = time.monotonic()
            for message in messages:
                if message.error() is None:
                    self.seen.setdefault(message.key() or b"", now)


class Source:
    """The CRM: one customer after the other."""

    def __init__(self, there: Field) -> None:
        self._customers = there.customers
        self._schemas = there.schemas
        self._times = 2
        self._producer = Producer({**there.settings.client("crm"), "acks": "all", "linger.ms": "5"})
        self._acknowledged: dict[bytes, float] = {}

    def send(self, rate: int, seconds: float) -> dict[bytes, float]:
        """Evenly spread, of as many customers; when each one's first was acknowledged. Each changes what is shared."""
        self._acknowledged, self._times = {}, self._times + 1
        workload = w1.Workload(*self._schemas, VARIANT, self._times)
        began, sent, count = time.monotonic(), 0, int(rate * seconds)
        while sent < count:
            wanted = min(int((time.monotonic() - began) * rate) + 1, count)
            for number in range(sent, wanted):
                one = workload.update(number % self._customers)
                partition = partition_of(one.key, PARTITIONS)
                self._producer.produce(
                    topics.CUSTOMER_UPDATES, one.value, one.key, partition, on_delivery=self._acknowledge
                )
            sent = wanted
            self._producer.poll(_TICK_SECONDS)
        self._producer.flush(_ARRIVES_SECONDS)
        return self._acknowledged

    def _acknowledge(self, error: object, message: Message) -> None:
        if error is not None:
            raise AssertionError(f"an update was not taken: {error}")
        self._acknowledged.setdefault(message.key() or b"", time.monotonic())


def main() -> None:
    options = _options()
    with field(options.folder / "field", options.customers, options.customers, VARIANT) as there:
        add_updates(there)
        create_topics(there.settings, [_COPIES])
        contests = ((OURS, Delivery(topics.customers(PARTNER), _pseudonyms(there))), (BARE, Delivery(_COPIES)))
        load = Load(options.rates, options.seconds, options.warm_up)
        measured = {one.name: _measured(there, one, delivery, load) for one, delivery in contests}
    text = json.dumps({**circumstances(), "milliseconds": measured}, indent=2)
    (options.folder / "latency.json").write_text(text + "\n", encoding="utf-8")
    say(text)


def _pseudonyms(there: Field) -> dict[bytes, bytes]:
    """By the key of a customer's updates, the key of the partner's record."""
    own = PartnerKeys.of(load_master_key(there.settings.master_key), PARTNER, 1)
    customers = [w1.customer_id(number) for number in range(there.customers)]
    return {name.encode(): keys.pseudonym(own.record, CustomerId(name)).encode() for name in customers}


def _measured(
    there: Field,
    one: Contestant,
    delivery: Delivery,
    load: Load,
) -> dict[int, dict[str, float]]:
    """By rate; once everything that is there is worked off, and again after each rate."""
    found = {}
    watch, source = Watch(there.settings, one.group), Source(there)
    with started(one, one.command, there):
        for rate in load.rates:
            watch.until_quiet(_QUIET_SECONDS)
            source.send(rate, load.warm_up_seconds)
            watch.until_quiet(_QUIET_SECONDS)
            with closing(Partner(there, delivery.topic)) as partner:
                acknowledged = source.send(rate, load.seconds)
                expected = {key: delivery.keys[key] if delivery.keys else key for key in acknowledged}
                partner.wait_for(expected.values())
            found[rate] = _spread([1e3 * (partner.seen[expected[key]] - at) for key, at in acknowledged.items()])
            say(f"{one.name}, {rate} updates/s: {found[rate]}")
    watch.close()
    return found


def _spread(milliseconds: list[float]) -> dict[str, float]:
    ranked = sorted(milliseconds)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(ranked[min(int(len(ranked) * share), len(ranked) - 1)], 1) for name, share in shares.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=30_000, help="[30000]")
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 1_000, 3_000], help="[100 1000 3000]")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each rate [15]")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds at each rate that do not count [10]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"[{FOLDER}]")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""From a withdrawal to the tombstone that the partner reads, while everybody is reconciled (`make bench-recall`).

A hundred thousand customers are shared first, which takes minutes and is kept for the next run. Then a contract
changes, and while all of them are reconciled under it and 500 updates a second come in, some customers withdraw.
Measured is from before the CRM sends the withdrawal until the partner's own consumer, which reads committed records,
has the tombstone. Ends with 0 when enough was measured and the 99th percentile is below 150 ms.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from sluice import topics
from sluice.installation import apply
from sluice.kafka.admin import high_watermarks
from sluice.kafka.clients import idempotent_producer
from sluice.local import stack
from sluice.settings import load_settings
from tests.chaos.machine import machine
from tests.chaos.standing import Group
from tests.integration.installation import HOSHI, PARTITIONS, Installation, Processor, eventually, now_ms

FOLDER = Path("build/bench-recall")
_BOUND_MS = 150.0
_LEAST_SAMPLES = 300
_LOADED_SECONDS = 3_600.0
_ARRIVES_SECONDS = 60.0
_PIECE = 10
_TOGGLED = "loyalty.tier"
"""The field that the partner's contract gets and loses."""


class _Kept(Installation):
    """One whose topics outlive the run."""

    def _delete_topics(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Options:
    customers: int
    samples: int
    updates_per_second: int
    withdrawals_per_second: float
    seed: int


class Sample(NamedTuple):
    milliseconds: float
    to_reconcile: int
    """Customers that were still to be reconciled, about, when the customer withdrew."""


class Partner:
    """The partner's consumer: notes when it has a tombstone."""

    def __init__(self, installation: Installation) -> None:
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()
        self._ends = threading.Event()
        topic = topics.customers(HOSHI)
        ends = high_watermarks(installation.admin, [(topic, p) for p in range(PARTITIONS)])
        own = {
            "group.id": topics.partner_group(HOSHI, "bench"),
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
            "enable.auto.commit": False,
        }
        self._consumer = Consumer({**installation.settings.client(HOSHI), **own})
        self._consumer.assign([TopicPartition(topic, p, end) for (_, p), end in ends.items()])
        self._thread = threading.Thread(target=self._read, name="partner")
        self._thread.start()

    def has_tombstone(self, pseudonym: str) -> float:
        """When it was read, on the clock that only goes forward; waits for it."""
        with self._changed:
            if not self._changed.wait_for(lambda: pseudonym in self._seen, _ARRIVES_SECONDS):
                raise AssertionError(f"no tombstone within {_ARRIVES_SECONDS:.0f} s")
            return self._seen[pseudonym]

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._ends.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None or message.value() is not None:
                continue
            with self._changed:
                self._seen[(message.key() or b"").decode()] = time.monotonic()
                self._changed.notify_all()


class _Scene(NamedTuple):
    installation: Installation
    processor: Processor
    partner: Partner
    asking: Producer
    """The CRM's, for withdrawals."""


def main() -> None:
    options = _options()
    endpoints = stack.start((FOLDER / "local").absolute())
    try:
        folder = (FOLDER / "installation").absolute()
        shutil.rmtree(folder / "contracts", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        installation = _Kept(endpoints, folder)
        installation.set_up()
        installation.write_settings(session_timeout_ms=10_000)
        try:
            status = _measure(installation, options)
        finally:
            installation.tear_down()
    finally:
        stack.stop((FOLDER / "local").absolute())
    sys.exit(status)


def _measure(installation: Installation, options: Options) -> int:
    processor = installation.start_processor()
    _load(installation, options.customers)
    chance = random.Random(options.seed)
    held = _held(installation)
    candidates = min(options.customers, 20 * options.samples)
    willing = [f"crm:{number}" for number in chance.sample(range(options.customers), candidates)]
    willing = [customer for customer in willing if installation.pseudonym(HOSHI, customer) in held]
    partner = Partner(installation)
    asking = idempotent_producer({**installation.settings.client("crm"), "linger.ms": "0"})
    _withdraw(installation, asking, willing.pop())  # who is connected already answers at once
    scene = _Scene(installation, processor, partner, asking)
    samples: list[Sample] = []
    rounds = 0
    began = time.monotonic()
    with _updates(installation, options) as sent:
        while len(samples) < options.samples:
            rounds += 1
            _change_contract(installation)
            samples += _round(scene, willing, options)
        rate = sent[0] / (time.monotonic() - began)
    partner.close()
    processor.stop()
    return _report(samples, rounds, rate, options)


def _round(scene: _Scene, willing: list[str], options: Options) -> list[Sample]:
    """One reconciliation of everybody, and who withdrew while it went on."""
    eventually(lambda: _to_reconcile(scene.processor) > 0, "the reconciliation begins", 60)
    samples: list[Sample] = []
    left = _to_reconcile(scene.processor)
    asked_at = time.monotonic()
    while left > 0 and len(samples) < options.samples:
        customer = willing.pop()
        pseudonym = scene.installation.pseudonym(HOSHI, customer)
        started = time.monotonic()
        _withdraw(scene.installation, scene.asking, customer)
        samples.append(Sample((scene.partner.has_tombstone(pseudonym) - started) * 1000, left))
        time.sleep(max(0.0, 1 / options.withdrawals_per_second - (time.monotonic() - started)))
        if time.monotonic() - asked_at > 1:
            asked_at = time.monotonic()
            left = _to_reconcile(scene.processor)
            _say(f"{len(samples)} samples, {left:,} customers to reconcile, newest {samples[-1].milliseconds:.0f} ms")
    return samples


def _to_reconcile(processor: Processor) -> int:
    return int(processor.metric("sluice_customers_to_reconcile"))


def _withdraw(installation: Installation, asking: Producer, customer: str) -> None:
    value = installation.consent_writer.write(installation.consent(customer, HOSHI, "WITHDRAWN", at=now_ms()))
    installation.send(topics.CONSENT_EVENTS, customer.encode(), value, producer=asking)


@contextmanager
def _updates(installation: Installation, options: Options) -> Iterator[list[int]]:
    """Profiles that change, at a steady rate; yields how many were sent."""
    sent, ends = [0], threading.Event()
    chance = random.Random(options.seed + 1)

    def send() -> None:
        due = time.monotonic()
        while not ends.wait(max(0.0, due - time.monotonic())):
            due += _PIECE / options.updates_per_second
            for _ in range(_PIECE):
                _update(installation, chance.randrange(options.customers), chance.randrange(1_000_000))
            sent[0] += _PIECE
            installation.crm.poll(0)

    thread = threading.Thread(target=send, name="crm")
    thread.start()
    try:
        yield sent
    finally:
        ends.set()
        thread.join()


def _update(installation: Installation, number: int, version: int) -> None:
    customer = f"crm:{number}"
    fields = {"email": f"a{version}@example.com", "loyalty": {"tier": "GOLD"}}
    installation.crm.produce(topics.CUSTOMER_UPDATES, installation.profile(customer, **fields), customer.encode())


def _load(installation: Installation, customers: int) -> None:
    """Everybody's profile and grant, unless a run before did that; returns when it is worked off."""
    marker = FOLDER / f"loaded-{customers}"
    group = Group(installation.settings.client("admin"), installation.settings.sharing.group)
    if not marker.exists():
        for number in range(customers):
            _update(installation, number, 0)
            event = installation.consent(f"crm:{number}", HOSHI, "GIVEN", expression="explicit")
            value = installation.consent_writer.write(event)
            installation.crm.produce(topics.CONSENT_EVENTS, value, f"crm:{number}".encode())
            if number % 1_000 == 0:
                installation.crm.flush(60)
                _say(f"{number:,} of {customers:,} customers sent")
        assert installation.crm.flush(60) == 0
    deadline = time.monotonic() + _LOADED_SECONDS
    while not group.is_quiet_within(5):
        _say(f"loading: {group.standing()}")
        assert time.monotonic() < deadline, "the customers were not shared in time"
    marker.touch()
    group.close()


def _held(installation: Installation) -> set[str]:
    held: set[str] = set()
    for record in installation.read_as(HOSHI, topics.customers(HOSHI)):
        change = held.discard if record.value is None else held.add
        change((record.key or b"").decode())
    return held


def _change_contract(installation: Installation) -> None:
    path = installation.contracts_folder / f"{HOSHI}.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if document["fields"].pop(_TOGGLED, None) is None:
        document["fields"][_TOGGLED] = "keep"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    apply(load_settings(installation.settings_path), lambda _: None)


def _report(samples: list[Sample], rounds: int, updates_per_second: float, options: Options) -> int:
    latencies = sorted(sample.milliseconds for sample in samples)
    left = [sample.to_reconcile for sample in samples]
    p99 = statistics.quantiles(latencies, n=100, method="inclusive")[98]
    report = {
        "count": len(samples),
        "p50_ms": round(statistics.median(latencies), 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(latencies[-1], 1),
        "below_ms": _BOUND_MS,
        "samples_while_reconciling": sum(count > 0 for count in left),
        "to_reconcile": {"most": max(left), "median": int(statistics.median(left)), "least": min(left)},
        "reconciliations": rounds,
        "updates_per_second": round(updates_per_second),
        "options": asdict(options),
        "machine": machine(),
    }
    (FOLDER / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _say(json.dumps(report))
    _say(
        f"withdrawal to tombstone: p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms, max {report['max_ms']} ms "
        f"of {len(samples)}, at {updates_per_second:.0f} updates/s; "
        f"{report['samples_while_reconciling']} of them while {options.customers:,} customers were being reconciled"
    )
    return 0 if p99 < _BOUND_MS and len(samples) >= _LEAST_SAMPLES else 1


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000, help="[100000]")
    parser.add_argument("--samples", type=int, default=400, help="[400]")
    parser.add_argument("--updates-per-second", type=int, default=500, help="[500]")
    parser.add_argument("--withdrawals-per-second", type=float, default=6.0, help="[6]")
    parser.add_argument("--seed", type=int, default=1, help="[1]")
    return Options(**vars(parser.parse_args()))


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of the command line


if __name__ == "__main__":
    main()

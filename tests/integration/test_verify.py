"""`sluice verify` on a real installation: equal when it is, and every planted damage found with its cause."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sluice import topics
from sluice.avro import Writer, unframe
from sluice.kafka.admin import stable_ends
from sluice.kafka.group_offsets import committed
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from stream_processors.sharing import checkpoint
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, PARTITIONS, Installation, eventually, now_ms
from tests.integration.proof import assert_verified
from tests.integration.test_recovery import Load

pytestmark = pytest.mark.broker


def test_equal_after_load(installation: Installation) -> None:
    load = Load(installation, seed=21)
    with installation.processor():
        load.send(600)
        report = assert_verified(installation)
    assert report["complete"]
    assert report["customers"] > 100
    assert all(report["held"][partner] > 10 for partner in (ADRESSO, HOSHI, LISTMART))
    assert [partition["settled"] for partition in report["partitions"]] == [True] * PARTITIONS


def test_no_false_alarm_while_the_processor_is_under_load(installation: Installation) -> None:
    load = Load(installation, seed=22, customers=60)
    with installation.processor():
        with _under(load):
            done = installation.run("verify", "--json", "--wait", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert report["differences"] == []
        assert report["customers"] > 0
        assert_verified(installation)


@contextmanager
def _under(load: Load) -> Iterator[None]:
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            load.send(20)
            time.sleep(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_every_planted_damage_is_found_with_its_cause(installation: Installation) -> None:
    names = ("forged", "gone", "unheard", "more", "withdrawn", "moved", "granted", "fine")
    with installation.processor():
        for name in names:
            installation.update(f"crm:{name}", email=f"{name}@example.com")
            for partner in (HOSHI, LISTMART):
                if (name, partner) not in {("unheard", LISTMART), ("granted", HOSHI)}:
                    installation.say(f"crm:{name}", partner, "GIVEN")
        eventually(lambda: len(installation.holds(HOSHI)) == len(names) - 1, "shared with the card")
        eventually(lambda: len(installation.holds(LISTMART)) == len(names) - 1, "shared with the list buyer")
        assert_verified(installation)
    Damage(installation).plant()

    done = installation.run("verify", "--json", "--wait", "0", "--with-values")
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    found = {(one["customer"], one["partner"]): one for one in report["differences"]}
    assert {whom: one["faults"] for whom, one in found.items()} == {
        ("crm:forged", HOSHI): ["value_differs", "digest_differs"],
        ("crm:gone", HOSHI): ["missing_in_topic"],
        ("crm:unheard", LISTMART): ["not_disclosed"],
        ("crm:more", LISTMART): ["fields_differ"],
        ("crm:withdrawn", HOSHI): ["held_without_reason"],
        ("crm:moved", HOSHI): ["wrong_partition"],
        ("crm:granted", HOSHI): ["withheld_without_reason"],
        (None, HOSHI): ["not_disclosed"],
        ("crm:elsewhere", None): ["wrong_partition"],
    }
    assert report["faults"]["not_disclosed"] == 2
    assert found["crm:forged", HOSHI]["fields"] == ["given_name"]
    assert found["crm:forged", HOSHI]["values"] == {"given_name": ["Forged", "Hana"]}
    assert found["crm:withdrawn", HOSHI]["refused"] == "withdrawn"
    evidence = found["crm:withdrawn", HOSHI]["evidence"]
    assert evidence["update"].startswith(topics.CUSTOMER_UPDATES)
    assert evidence["disclosure"].startswith(topics.DISCLOSURES)
    assert any("WITHDRAWN" in record for record in evidence["consents"])
    assert not any(whom[0] == "crm:fine" for whom in found)

    told = installation.run("verify", "--wait", "0")
    assert told.returncode == 2
    assert "NOT EQUAL" in told.stdout
    assert "DIFFERENCE held_without_reason: crm:withdrawn at hoshi-card" in told.stdout
    assert "Forged" not in told.stdout


def test_what_cannot_be_proved_exits_1_with_a_sentence(installation: Installation) -> None:
    done = installation.run("verify", "--wait", "0")
    assert done.returncode == 1
    assert "has committed nothing" in done.stderr
    assert "Traceback" not in done.stderr


class Damage:
    """What an administrator can do to the topics while the processor is stopped."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._producer = Producer({**installation.settings.client("admin"), "log_level": 0})

    def plant(self) -> None:
        self._installation.is_tampered_with = True
        self._forge("crm:forged", given_name="Forged")
        self._write(topics.customers(HOSHI), "crm:gone", self._key(HOSHI, "crm:gone"), None)
        borrowed = self._record(LISTMART, "crm:fine")
        self._write(topics.customers(LISTMART), "crm:unheard", self._key(LISTMART, "crm:unheard"), borrowed)
        self._write(topics.customers(HOSHI), "crm:fine", b"nobody-of-whom-we-know", self._record(HOSHI, "crm:fine"))
        moved = (_number("crm:moved") + 1) % PARTITIONS
        self._write(topics.customers(HOSHI), moved, self._key(HOSHI, "crm:moved"), self._record(HOSHI, "crm:moved"))
        self._say_more("crm:more")
        self._installation.say("crm:withdrawn", HOSHI, "WITHDRAWN", at=now_ms())
        self._installation.say("crm:granted", HOSHI, "GIVEN")
        self._pass_over()

    def _forge(self, customer: str, **fields: object) -> None:
        value = self._record(HOSHI, customer)
        schema_id, _ = unframe(value)
        writer = Writer(self._installation.registry.text(schema_id), schema_id)
        forged = writer.write({**self._installation.registry.decode(value), **fields})
        self._write(topics.customers(HOSHI), customer, self._key(HOSHI, customer), forged)

    def _say_more(self, customer: str) -> None:
        """A disclosure of a field more than was delivered, and one that lies in the wrong partition."""
        (newest, *_) = [r for r in reversed(self._installation.read(topics.DISCLOSURES)) if r.key == customer.encode()]
        schema_id, _ = unframe(newest.value)
        disclosure = self._installation.registry.decode(newest.value)
        for entry in disclosure["entries"]:
            entry["fields"] = [*entry["fields"], "email"] if entry["partner"] == LISTMART else entry["fields"]
        value = Writer(self._installation.registry.text(schema_id), schema_id).write(disclosure)
        self._write(topics.DISCLOSURES, customer, customer.encode(), value)
        elsewhere = (_number("crm:elsewhere") + 1) % PARTITIONS
        self._write(topics.DISCLOSURES, elsewhere, b"crm:elsewhere", value)

    def _pass_over(self) -> None:
        """As if the processor had read everything there is, and had done nothing about it."""
        installation, settings = self._installation, self._installation.settings
        names = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES)
        ends = stable_ends(installation.admin, [(topic, p) for topic in names for p in range(PARTITIONS)])
        before = committed(settings.client("admin"), settings.sharing.group, *names[:2], range(PARTITIONS))
        offsets = []
        for p in range(PARTITIONS):
            found = checkpoint.decode(before[p].metadata)
            after = msgspec.structs.replace(found, disclosures=ends[topics.DISCLOSURES, p], settled=True)
            driving = ends[topics.CUSTOMER_UPDATES, p]
            offsets += [TopicPartition(topics.CUSTOMER_UPDATES, p, driving, after.encode())]
            offsets += [TopicPartition(topics.CONSENT_EVENTS, p, ends[topics.CONSENT_EVENTS, p])]
        consumer = Consumer({**settings.client("admin"), "group.id": settings.sharing.group, "log_level": 0})
        consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()

    def _key(self, partner: PartnerId, customer: str) -> bytes:
        return self._installation.pseudonym(partner, customer).encode()

    def _record(self, partner: PartnerId, customer: str) -> bytes:
        wanted = self._key(partner, customer)
        records = [r for r in self._installation.read(topics.customers(partner)) if r.key == wanted and r.value]
        assert records[-1].value is not None
        return records[-1].value

    def _write(self, topic: str, where: str | int, key: bytes, value: bytes | None) -> None:
        """Into the customer's partition, or into the one that is named."""
        failures: list[Any] = []
        partition = where if isinstance(where, int) else _number(where)
        self._producer.produce(
            topic, value, key, partition=partition, on_delivery=lambda e, _: failures.append(e) if e else None
        )
        assert self._producer.flush(20) == 0
        assert not failures


def _number(customer: str) -> int:
    return partition_of(customer.encode(), PARTITIONS)

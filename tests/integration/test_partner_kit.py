"""What a partner is handed, on a real broker: the consumer that is delivered is the one that reads."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer

from sluice import topics
from sluice.kafka.clients import idempotent_producer
from sluice.model import PartnerId
from tests.integration.handed_over import Kit
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, Installation, eventually, now_ms

pytestmark = pytest.mark.broker

NAME = "Sakurako-Distinctive"


def share(installation: Installation, *customers: str, **fields: str) -> None:
    """Waits until the card company holds them."""
    for customer in customers:
        installation.say(customer, HOSHI, "GIVEN", expression="explicit")  # as it has to be after a withdrawal
        installation.update(customer, **fields)
    eventually(lambda: all(installation.has(HOSHI, customer) for customer in customers), "shared")


def withdraw(installation: Installation, *customers: str) -> None:
    for customer in customers:
        installation.say(customer, HOSHI, "WITHDRAWN")
    eventually(lambda: not any(installation.has(HOSHI, customer) for customer in customers), "recalled")


def standing(installation: Installation, partner: PartnerId) -> tuple[int, int]:
    """How many recalls there were, and how many of them are acknowledged."""
    done = installation.run("recalls", "--json", "--partner", partner)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["recalls"], told["acknowledged"]


def test_from_a_new_contract_to_the_first_record(installation: Installation) -> None:
    late = PartnerId("latecomer")
    text = (installation.contracts_folder / f"{ADRESSO}.yaml").read_text(encoding="utf-8")
    (installation.contracts_folder / f"{late}.yaml").write_text(text.replace(ADRESSO, late), encoding="utf-8")
    installation.apply()
    kit = Kit.of(installation, late)
    with installation.processor():
        installation.update("crm:1")
        eventually(lambda: installation.has(late, "crm:1"), "shared")
        kit.consume()
        assert kit.records() == installation.holds(late)
        street = {"street": "2 New Street", "postal_code": "3056", "country": "AU"}
        installation.update("crm:1", address=street)
        eventually(lambda: (installation.has(late, "crm:1") or {})["address_street"] == "2 New Street", "updated")
    kit.consume()
    assert kit.records() == installation.holds(late)


def test_partner_is_told_to_delete(installation: Installation) -> None:
    """Withdrawn: deleted to the last byte, then acknowledged; our own command says so."""
    kit, returns = Kit.of(installation, HOSHI), installation.start_returns()
    with installation.processor(), kit.consuming():
        share(installation, "crm:1", "crm:2", given_name=NAME)
        eventually(lambda: len(kit.records()) == 2, "read")
        withdraw(installation, "crm:1", "crm:2")
        eventually(lambda: kit.said().count("WITHDRAW") == 2, "acknowledged")
        eventually(lambda: standing(installation, HOSHI) == (2, 2), "and accepted")
        assert kit.records() == {}
        assert NAME.encode() not in kit.files_of_the_table()
    assert NAME not in kit.said()
    assert installation.refused() == []
    returns.stop()


def test_erased_at_the_source(installation: Installation) -> None:
    kit, returns = Kit.of(installation, HOSHI), installation.start_returns()
    with installation.processor():
        share(installation, "crm:1", "crm:2")
        kit.consume()
        installation.delete("crm:1")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
    assert "ERASE" in kit.consume()
    assert kit.records().keys() == {installation.pseudonym(HOSHI, "crm:2")}
    eventually(lambda: standing(installation, HOSHI) == (1, 1), "acknowledged")
    returns.stop()


def test_processing_is_restricted(installation: Installation) -> None:
    """Kept and marked until it comes again; what was wrong is put right; each is acknowledged."""
    kit, returns = Kit.of(installation, HOSHI), installation.start_returns()
    marked = "SELECT restricted FROM customers ORDER BY restricted"
    with installation.processor():
        share(installation, "crm:1", "crm:2", given_name="Hanna")
        kit.consume()
        installation.update("crm:1", given_name="Hanna", restricted=True)
        eventually(lambda: installation.control(HOSHI), "told")
        assert "RESTRICT" in kit.consume()
        assert kit.ask(marked) == [(0,), (1,)]
        installation.update("crm:1", given_name="Somebody", restricted=True)
        installation.update("crm:2", given_name="Hana", rectified_at=now_ms())
        eventually(lambda: (installation.has(HOSHI, "crm:2") or {})["given_name"] == "Hana", "put right")
        assert "RECTIFY" in kit.consume()
        assert sorted(record["given_name"] for record in kit.records().values()) == ["Hana", "Hanna"]
        assert kit.ask(marked) == [(0,), (1,)]
        installation.update("crm:1", given_name="Hanna")
        eventually(lambda: len(installation.read(topics.customers(HOSHI))) == 4, "it comes again")
        kit.consume()
        assert kit.ask(marked) == [(0,), (0,)]
    eventually(lambda: standing(installation, HOSHI) == (2, 2), "acknowledged")
    assert installation.refused() == []
    returns.stop()


def test_contract_ends(installation: Installation) -> None:
    kit, returns = Kit.of(installation, ADRESSO), installation.start_returns()
    with installation.processor():
        installation.update("crm:1")
        eventually(lambda: installation.has(ADRESSO, "crm:1"), "shared")
        kit.consume()
        (installation.contracts_folder / f"{ADRESSO}.yaml").unlink()
        installation.apply()
        eventually(lambda: not installation.holds(ADRESSO), "recalled")
    assert "CONTRACT_ENDED" in kit.consume()
    assert kit.records() == {}
    eventually(lambda: standing(installation, ADRESSO) == (1, 1), "acknowledged")
    returns.stop()


def test_partner_reads_a_recall_after_the_customer_was_shared_again(installation: Installation) -> None:
    """Everything in one go, and then the control messages once more: what was shared since stays."""
    kit, returns = Kit.of(installation, HOSHI), installation.start_returns()
    with installation.processor():
        share(installation, "crm:1", "crm:2", given_name="before")
        withdraw(installation, "crm:1", "crm:2")
        share(installation, "crm:1", given_name="after")
    kit.consume()
    assert [record["given_name"] for record in kit.records().values()] == ["after"]
    eventually(lambda: standing(installation, HOSHI) == (2, 2), "acknowledged")
    kit.change("DELETE FROM offsets WHERE topic LIKE '%.control'")
    assert kit.consume().count("WITHDRAW") == 2
    assert [record["given_name"] for record in kit.records().values()] == ["after"]
    eventually(lambda: len(installation.refused()) == 2, "recognised as repetitions")
    assert {one["cause"] for one in installation.refused()} == {"repeated"}
    returns.stop()


def test_partner_is_killed_in_the_middle(installation: Installation) -> None:
    """While records and recalls keep coming: nothing is missing, and nothing is there that should not be."""
    kit, returns = Kit.of(installation, HOSHI), installation.start_returns()
    customers = [f"crm:{number}" for number in range(60)]
    with installation.processor():
        for number in range(6):
            with kit.consuming():
                share(installation, *customers[number * 10 : number * 10 + 10])
                withdraw(installation, customers[number * 10])
                time.sleep(number / 4)
        eventually(lambda: len(installation.holds(HOSHI)) == 54, "all are shared, but for the recalled")
    kit.consume()
    assert kit.records() == installation.holds(HOSHI)
    eventually(lambda: standing(installation, HOSHI) == (6, 6), "acknowledged")
    assert {one["cause"] for one in installation.refused()} <= {"repeated"}
    returns.stop()


def test_partner_was_away_for_longer_than_nulls_stay(installation: Installation) -> None:
    """What vanished meanwhile is not in the fresh table; the old one is readable until then; restrictions stay."""
    kit = Kit.of(installation, HOSHI)
    with installation.processor():
        share(installation, "crm:1")
    kit.consume()
    key = installation.pseudonym(HOSHI, "crm:1")
    kit.change("INSERT INTO customers VALUES ('recalled and vanished', '{}', 0, 0)")
    kit.change("UPDATE customers SET restricted = 1")
    kit.consume()
    assert len(kit.records()) == 2
    kit.change("UPDATE last_read SET at = at - 7 * 24 * 60 * 60 - 60")
    with closing(sqlite3.connect(kit.folder / "customers.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM customers").fetchone() == (2,)
        assert "takes the place" in kit.consume()
        assert reader.execute("SELECT count(*) FROM customers").fetchone() == (2,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT pseudonym, restricted FROM customers").fetchall() == [(key, 1)]
    assert kit.records() == installation.holds(HOSHI)
    assert "takes the place" not in kit.consume(), "it was there a moment ago"


def test_partner_asks_for_what_a_topic_no_longer_has(installation: Installation) -> None:
    kit = Kit.of(installation, HOSHI)
    with installation.processor():
        share(installation, "crm:1")
        kit.consume()
        share(installation, "crm:2", "crm:3")
        installation.delete_records(topics.customers(HOSHI))
        kit.change("UPDATE offsets SET next = 0")
        share(installation, "crm:4")
        installation.is_tampered_with = True
    assert "takes the place" in kit.consume()
    assert kit.records().keys() == {installation.pseudonym(HOSHI, "crm:4")}


def test_partner_meets_a_damaged_record(installation: Installation) -> None:
    """Named by its place and passed over; an aborted one is never seen."""
    kit = Kit.of(installation, HOSHI)
    administrator = installation.settings.client("admin")
    installation.is_tampered_with = True
    customers = topics.customers(HOSHI)
    with installation.processor():
        share(installation, "crm:1", given_name="before")
        (record,) = installation.read_as(HOSHI, customers)
        assert record.value
        writer, place = idempotent_producer(administrator), f"{customers}/{record.partition}@"
        for bad in (b"x" + record.value[1:], record.value[:-3], record.value + b"\x00", b"\x00\x7f\xff\xff\xffxx", b""):
            writer.produce(customers, bad, record.key, partition=record.partition)
        assert writer.flush(20) == 0
        installation.send(topics.control(HOSHI), record.key, b"\x00", producer=writer)
        _abort(administrator, customers, record.value)
        installation.update("crm:1", given_name=NAME)
        eventually(lambda: len(installation.read_as(HOSHI, customers)) == 1 + 5 + 1, "updated")
    said = kit.consume(status=1)
    assert said.count(f"skipped {place}") == 5
    assert said.count(f"skipped {topics.control(HOSHI)}/") == 1
    assert NAME not in said
    assert [one["given_name"] for one in kit.records().values()] == [NAME]
    assert kit.consume() == "", "said once"


def _abort(client: dict[str, str], topic: str, value: bytes) -> None:
    producer = Producer({**client, "transactional.id": "never"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, value, b"never")
    producer.flush(20)
    producer.abort_transaction(20)


def test_partner_is_told_what_does_not_delete(installation: Installation) -> None:
    """Restricted customers are marked until they come again, whatever else is said."""
    kit, topic = Kit.of(installation, HOSHI), topics.control(HOSHI)
    installation.is_tampered_with = True
    control = installation.writer(topic)
    with installation.processor():
        share(installation, "crm:1", "crm:2")
        key = installation.pseudonym(HOSHI, "crm:1")
        for kind in ("RESTRICT", "RECTIFY"):
            said = {
                "decision_id": kind.lower(),
                "type": kind,
                "customer": key,
                "action": "",
                "deadline": 0,
                "issued_at": 0,
            }
            producer = idempotent_producer(installation.settings.client("admin"))
            installation.send(topic, key.encode(), control.write(said), producer=producer)
        said_by_it = kit.consume()
        assert "RESTRICT restrict is done" in said_by_it
        assert "RECTIFY rectify is done" in said_by_it
        assert kit.ask("SELECT pseudonym FROM customers WHERE restricted") == [(key,)]
        share(installation, "crm:1", given_name="Hanako")
        eventually(lambda: (installation.has(HOSHI, "crm:1") or {})["given_name"] == "Hanako", "updated")
    kit.consume()
    assert kit.ask("SELECT pseudonym FROM customers WHERE restricted") == []
    assert kit.records()[key]["given_name"] == "Hanako"


def test_partner_waits_for_the_registry(installation: Installation) -> None:
    kit = Kit.of(installation, HOSHI)
    with installation.processor():
        share(installation, "crm:1")
    with registry_that_comes_back(installation.settings.registry()["url"]) as (url, comes_back):
        (kit.folder / "registry.properties").write_text(f"url={url}\n", encoding="utf-8")
        with kit.consuming() as process:
            eventually(lambda: "trying again" in kit.said(), "it waits")
            assert kit.records() == {}
            comes_back.set()
            eventually(kit.records, "and goes on by itself")
            assert process.poll() is None


@contextmanager
def registry_that_comes_back(url: str) -> Iterator[tuple[str, Event]]:
    """An address at which the registry fails until the event is set."""
    is_back = Event()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if is_back.is_set() else 503)
            self.end_headers()
            if is_back.is_set():
                self.wfile.write(urlopen(f"{url}{self.path}").read())  # noqa: S310 - our own registry

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the library's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", is_back
    server.shutdown()
    server.server_close()


def test_partner_keeps_a_reader_open(installation: Installation) -> None:
    """While somebody still sees what was deleted it is not acknowledged."""
    kit, returns = Kit.of(installation, HOSHI), installation.start_returns()
    with installation.processor(), kit.consuming():
        share(installation, "crm:1", given_name=NAME)
        eventually(kit.records, "read")
        with closing(sqlite3.connect(kit.folder / "customers.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM customers").fetchone() == (1,)
            withdraw(installation, "crm:1")
            eventually(lambda: "somebody reads the table" in kit.said(), "waits")
            assert standing(installation, HOSHI) == (1, 0)
            reader.execute("COMMIT")
        eventually(lambda: standing(installation, HOSHI) == (1, 1), "acknowledged")
    returns.stop()


def _kcat_is_new_enough() -> bool:
    if shutil.which("kcat") is None:
        return False
    told = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=False)
    version = re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", told.stdout + told.stderr)
    return version is not None and tuple(map(int, version.groups())) >= (2, 6, 1)


@pytest.mark.skipif(
    not _kcat_is_new_enough(), reason="no kcat with librdkafka 2.6.1; that a shell takes the script is tested anyway"
)
def test_kcat_shows_what_is_committed(installation: Installation) -> None:
    kit = Kit.of(installation, HOSHI)
    with installation.processor():
        share(installation, "crm:1", "crm:2")
        withdraw(installation, "crm:1")

    def shown(topic: str) -> list[list[str]]:
        command = ["./kcat.sh", f"{HOSHI}.properties", topic, "-e"]
        done = subprocess.run(command, cwd=kit.folder, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stderr
        return [shown.split("\t", 2)[1:] for shown in re.split(r"(?m)^(?=partner\.)", done.stdout)[1:]]

    recalled, kept = (installation.pseudonym(HOSHI, customer) for customer in ("crm:1", "crm:2"))
    assert sorted(key for key, _ in shown("customers")) == sorted([recalled, recalled, kept])
    assert [key for key, value in shown("customers") if value.strip() == "NULL"] == [recalled]
    ((key, message),) = shown("control")
    assert (key, "acknowledge" in message) == (recalled, True)


def test_two_consumers_of_one_table(installation: Installation) -> None:
    kit = Kit.of(installation, HOSHI)
    with kit.consuming():
        eventually((kit.folder / "customers.db").exists, "one runs")
        kit.consume(status=1)


def test_a_kit_comes_with_the_contract_that_is_put_in_force(installation: Installation, tmp_path: Path) -> None:
    """One file, one command, and the partner has what it begins with."""
    text = (installation.settings.contracts / f"{ADRESSO}.yaml").read_text(encoding="utf-8")
    latecomer = text.replace(f"partner: {ADRESSO}", "partner: latecomer")
    (installation.settings.contracts / "latecomer.yaml").write_text(latecomer, encoding="utf-8")
    command = [sys.executable, "-m", "sluice", "apply", "--yes", "--json", "--kit", "latecomer"]
    with installation.processor():
        installation.update("crm:1")
        done = subprocess.run(
            [*command, "--settings", str(installation.settings_path)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        applied, kit = map(json.loads, done.stdout.splitlines())
        assert applied["done"]
        assert (kit["partner"], kit["folder"], "consumer.py" in kit["written"]) == ("latecomer", "latecomer-kit", True)
        partner = Kit(tmp_path / "latecomer-kit", PartnerId("latecomer"))
        with partner.consuming():
            table = partner.folder / "customers.db"
            eventually(lambda: table.exists() and partner.records(), "its consumer holds a customer")


@pytest.mark.parametrize("more", [("--kit", "latecomr"), ("--kit", HOSHI, "--destroy", f"partner/{HOSHI}")])
def test_nothing_is_done_where_nobody_can_be_handed_a_kit(installation: Installation, more: tuple[str, ...]) -> None:
    """A name that was mistyped, or that is taken away by the same command."""
    text = (installation.settings.contracts / f"{ADRESSO}.yaml").read_text(encoding="utf-8")
    latecomer = text.replace(f"partner: {ADRESSO}", "partner: latecomer")
    (installation.settings.contracts / "latecomer.yaml").write_text(latecomer, encoding="utf-8")
    done = installation.run("apply", "--yes", *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"There is no contract with {more[1]}")
    assert topics.customers(PartnerId("latecomer")) not in installation.admin.list_topics(timeout=10).topics


def test_a_kit_is_made_of_what_is_in_force(installation: Installation) -> None:
    """A contract that was in force once is a draft too, though the registry has all its schemas."""
    former = installation.settings.contracts / f"{HOSHI}.yaml"
    text = former.read_text(encoding="utf-8")
    former.write_text(text.replace("  email: keep\n", ""), encoding="utf-8")
    installation.apply()
    former.write_text(text, encoding="utf-8")
    installation.apply()
    former.write_text(text.replace("  email: keep\n", ""), encoding="utf-8")
    done = installation.run("partner-kit", HOSHI, "--out", str(installation.folder / "kit"))
    assert (done.returncode, "run `sluice apply`" in done.stderr) == (1, True)
    assert not (installation.folder / "kit").exists()
    done = installation.run("partner-kit", "hoshi-kard")
    assert "did you mean `hoshi-card`" in done.stderr


def test_no_other_secret_is_in_a_kit(installation: Installation) -> None:
    kit = Kit.of(installation, HOSHI)
    users = ("admin", "crm", "sharing", "returns", ADRESSO, LISTMART)
    secrets = [installation.settings.client(user)["sasl.password"] for user in users]
    secrets.append(installation.settings.master_key.read().decode().strip())
    content = b"".join(path.read_bytes() for path in kit.folder.rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret.encode() in content] == []
    own = installation.settings.client(HOSHI)["sasl.password"]
    holding = [path for path in kit.folder.rglob("*") if own.encode() in path.read_bytes()]
    assert [path.name for path in holding] == [f"{HOSHI}.properties"]
    assert holding[0].stat().st_mode & 0o777 == 0o600

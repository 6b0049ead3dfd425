"""Files with types, and a folder into which files are dropped, on a real broker and registry."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice import topics
from sluice.local import stack
from sluice.local.stack import Endpoints
from tests.integration.commands import Command
from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker

ARROW = pa.schema(
    [
        ("customer_id", pa.string()),
        ("family_name", pa.string()),
        ("birth_date", pa.date32()),
        ("address", pa.struct([("city", pa.string()), ("country", pa.string())])),
        ("lifetime_value", pa.decimal128(12, 2)),
        ("updated_at", pa.timestamp("ms", "UTC")),
    ]
)
AVRO = {
    "type": "record",
    "name": "Customer",
    "fields": [
        {"name": "customer_id", "type": "string"},
        {"name": "family_name", "type": ["null", "string"]},
        {"name": "birth_date", "type": {"type": "int", "logicalType": "date"}},
        {
            "name": "address",
            "type": {
                "type": "record",
                "name": "Place",
                "fields": [{"name": "city", "type": "string"}, {"name": "country", "type": "string"}],
            },
        },
        {
            "name": "lifetime_value",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        },
        {"name": "updated_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


def people(count: int) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": f"crm:{number}",
            "family_name": "Mori",
            "birth_date": date(1990, 1, 2),
            "address": {"city": "Melbourne", "country": "AU"},
            "lifetime_value": Decimal("12.50"),
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for number in range(count)
    ]


def avro(rows: list[dict[str, Any]]) -> bytes:
    out = BytesIO()
    fastavro.writer(out, fastavro.parse_schema(AVRO), rows, codec="snappy")
    return out.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, ARROW), out, row_group_size=2)
    return out.getvalue()


def csv(count: int) -> str:
    lines = [f"crm:{number},Mori,2026-01-01T00:00:00Z\n" for number in range(count)]
    return "customer_id,family_name,updated_at\n" + "".join(lines)


def json_lines(count: int) -> str:
    row = {"family_name": "Mori", "updated_at": 1_790_000_000_000}
    return "".join(json.dumps({"customer_id": f"crm:{number}", **row}) + "\n" for number in range(count))


def drop(folder: Path, name: str, content: str | bytes) -> None:
    """As a careful writer does it."""
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(content if isinstance(content, bytes) else content.encode())
    unfinished.rename(folder / name)


def report(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.report.json"
    found = eventually(lambda: path.exists() and json.loads(path.read_text(encoding="utf-8")), f"{path} is there")
    assert isinstance(found, dict)
    return found


class Watcher:
    def __init__(self, installation: Installation, folder: Path, what: str) -> None:
        command = ["publish", what, str(folder), "--watch", "--settle", "0.3"]
        self.log = installation.folder / f"watch-{len(list(installation.folder.iterdir()))}.log"
        self.process = Command([*command, "--settings", str(installation.settings_path)], self.log, self.log)

    def said(self, words: str) -> bool:
        return words in self.log.read_text(encoding="utf-8")

    def hears(self, words: str) -> None:
        eventually(lambda: self.said(words), f"{words}: {self.log.read_text()}", 90)

    def end(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)
        assert self.process.wait(20) == (0 if number != signal.SIGKILL else -number), self.log.read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drops"
    made.mkdir()
    return made


@contextmanager
def watching(installation: Installation, folder: Path, what: str = "customers") -> Iterator[Watcher]:
    watcher = Watcher(installation, folder, what)
    try:
        watcher.hears("Watching ")
        yield watcher
    finally:
        watcher.process.kill()
        watcher.process.wait()


def keys(installation: Installation, topic: str = topics.CUSTOMER_UPDATES) -> list[str]:
    return sorted((record.key or b"").decode() for record in installation.read(topic))


@pytest.mark.parametrize(
    ("name", "content"),
    [("people.avro", avro(people(3))), ("people.parquet", parquet(people(3)))],
)
def test_files_with_types_are_published(installation: Installation, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = installation.run("publish", "customers", str(path), "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["published"] == 3
    records = installation.read(topics.CUSTOMER_UPDATES)
    assert sorted(record.key or b"" for record in records) == [b"crm:0", b"crm:1", b"crm:2"]
    read = installation.registry.decode(records[0].value)
    assert (read["birth_date"], read["lifetime_value"]) == (7306, (1250).to_bytes(2, "big"))
    assert (read["address"]["city"], read["updated_at"]) == ("Melbourne", 1_767_225_600_000)


def test_what_is_dropped_is_published_and_moved_with_a_report(installation: Installation, folder: Path) -> None:
    with watching(installation, folder) as watcher:
        drop(folder, "a.csv", csv(2))
        assert report(folder / "done", "a.csv")["summary"]["published"] == 2
        drop(folder, "a.csv", csv(3))
        drop(folder, "b.jsonl", json_lines(2) + '{"customer_id": "crm:9", "family_name": "Secret"}\n')
        drop(folder, "c.avro", avro(people(2))[:-5])
        drop(folder, "d.parquet", parquet(people(2)))
        assert report(folder / "done", "a.2.csv")["summary"]["published"] == 3
        refused = report(folder / "refused", "b.jsonl")
        assert "block 1, which begins with row 1" in report(folder / "refused", "c.avro")["problem"]
        assert report(folder / "done", "d.parquet")["summary"]["published"] == 2
        watcher.end()
        assert watcher.said("Ended. Nothing is left.")
    assert (refused["summary"]["published"], refused["summary"]["refused"]) == (2, 1)
    assert refused["summary"]["errors"] == [{"line": 3, "problem": "`updated_at` is missing."}]
    assert "Secret" not in json.dumps(refused) + watcher.log.read_text(encoding="utf-8")
    assert len(keys(installation)) == 2 + 3 + 2 + 2


MANY = 40_000


def test_a_watcher_killed_at_any_moment_loses_no_row(installation: Installation, folder: Path) -> None:
    with watching(installation, folder) as watcher:
        drop(folder, "many.csv", csv(MANY))
        eventually(lambda: sum(installation.input_ends().values()), "some rows are in the topic")
        watcher.end(signal.SIGKILL)
    before = sum(installation.input_ends().values())
    assert 0 < before < MANY
    assert (folder / "many.csv").exists()
    with watching(installation, folder) as watcher:
        drop(folder, "after.csv", csv(1))
        assert report(folder / "done", "many.csv")["summary"]["published"] == MANY
        report(folder / "done", "after.csv")
        watcher.end(signal.SIGTERM)
    of_the_first = sum(installation.input_ends().values()) - MANY - 1
    assert before <= of_the_first < MANY  # what was on its way when it died arrives after
    assert len(set(keys(installation))) == MANY


def test_ctrl_c_ends_a_watcher_between_rows_and_leaves_the_file(installation: Installation, folder: Path) -> None:
    with watching(installation, folder) as watcher:
        drop(folder, "many.csv", csv(MANY))
        eventually(lambda: sum(installation.input_ends().values()), "some rows are in the topic")
        watcher.end(signal.SIGINT)
        assert watcher.said("Stopped: interrupted.")
        assert watcher.said(f"Ended. Left in {folder}: 1, many.csv.")
    assert (folder / "many.csv").exists()
    assert list((folder / "done").iterdir()) == []


def test_consent_events_of_a_file_that_is_published_again_are_the_same_events(
    installation: Installation, folder: Path
) -> None:
    events = [
        {key: value for key, value in installation.consent(f"crm:{n}", HOSHI, "GIVEN").items() if key != "record_id"}
        for n in range(3)
    ]
    content = "".join(json.dumps(event) + "\n" for event in events)
    with watching(installation, folder, "consents"):
        drop(folder, "answers.jsonl", content)
        report(folder / "done", "answers.jsonl")
        (folder / "done/answers.jsonl").rename(folder / "answers.jsonl")
        (folder / "done/answers.jsonl.report.json").unlink()
        report(folder / "done", "answers.jsonl")
    ids = [
        installation.registry.decode(record.value)["record_id"] for record in installation.read(topics.CONSENT_EVENTS)
    ]
    assert (len(ids), len(set(ids))) == (6, 3)


def test_a_watcher_waits_for_a_broker_that_is_away(
    endpoints: Endpoints, installation: Installation, folder: Path
) -> None:
    state = endpoints.clients.parent
    with watching(installation, folder) as watcher:
        stack.stop(state, ("broker",), patience=0)
        try:
            drop(folder, "a.csv", csv(2))
            watcher.hears("a.csv waits: Cannot reach the broker")
        finally:
            stack.start(state)
        assert report(folder / "done", "a.csv")["summary"]["published"] == 2
        assert keys(installation) == ["crm:0", "crm:1"]


def test_a_second_watcher_is_refused(installation: Installation, folder: Path) -> None:
    with watching(installation, folder):
        result = installation.run("publish", "customers", str(folder), "--watch")
    assert result.returncode == 1
    assert result.stderr == f"Another process watches {folder} already; end it first.\n"

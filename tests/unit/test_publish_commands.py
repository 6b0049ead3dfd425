"""`sluice publish --dry-run`, as a user calls it: with settings and a registry, without a broker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from producers.commands import publish
from schemas import catalogue
from sluice.errors import SluiceError
from sluice.topics import CONSENT_EVENTS, CUSTOMER_UPDATES, subject

_SCHEMAS = {subject(CUSTOMER_UPDATES): (3, "customer_profile"), subject(CONSENT_EVENTS): (5, "consent_event")}


class _Registry(BaseHTTPRequestHandler):
    """Answers what the client asks for a subject's newest version."""

    def do_GET(self) -> None:
        name = self.path.split("/")[2]
        schema_id, schema = _SCHEMAS[name]
        answer = {"subject": name, "version": 1, "id": schema_id, "schema": catalogue.text(schema)}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Crm:
    """A CRM's desk: a folder with settings in it."""

    folder: Path

    def write(self, name: str, content: str) -> str:
        (self.folder / name).write_text(content, encoding="utf-8")
        return str(self.folder / name)

    def publish(self, *words: str, typed: str | None = None) -> Result:
        arguments = [*words, "--settings", str(self.folder / "sluice.yaml"), "--dry-run"]
        return CliRunner().invoke(publish, arguments, input=typed)


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    desk = Crm(tmp_path)
    desk.write("registry.properties", f"url=http://127.0.0.1:{server.server_port}\n")
    desk.write("sluice.yaml", "clients: .\ncontracts: contracts\nmaster_key: key\nsharing: {state: state}\n")
    yield desk
    server.shutdown()
    thread.join()
    server.server_close()


def figures(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_a_good_file_exits_0(crm: Crm) -> None:
    file = crm.write("a.csv", "customer_id,updated_at,email\n1,2026-01-01T00:00:00Z,a@example.com\n")
    result = crm.publish("customers", file)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 rows read, 1 valid, nothing written, 0 refused, in ")
    assert result.stderr == ""


def test_a_bad_row_exits_1_and_is_told_with_file_and_line_and_without_its_value(crm: Crm) -> None:
    file = crm.write("a.jsonl", '{"customer_id": "1", "updated_at": 1}\n{"customer_id": "2", "updated_at": "secret"}\n')
    result = crm.publish("customers", file, "--json")
    assert result.exit_code == 1
    summary = figures(result)
    assert (summary["read"], summary["valid"], summary["refused"]) == (2, 1, 1)
    assert summary["errors"][0]["line"] == 2
    assert result.stderr.startswith(f"{file}:2: `updated_at` has to be a time")
    assert "secret" not in result.output


def test_standard_input_needs_its_format(crm: Crm) -> None:
    row = '{"customer_id": "1", "updated_at": 1}\n'
    assert crm.publish("customers", "-", "--format", "jsonl", typed=row).exit_code == 0
    result = crm.publish("customers", "-", typed=row)
    assert isinstance(result.exception, SluiceError)
    assert "--format" in str(result.exception)


def test_consents_are_completed(crm: Crm) -> None:
    header = "subject_id,purpose,state,expression,actor,event_time,data_scope,recipient_scope.category"
    row = "crm:1,marketing.communications.email,GIVEN,opt_in,subject,2026-01-01T00:00:00Z,*,partner"
    result = crm.publish("consents", crm.write("c.csv", f"{header}\n{row}\n"))
    assert result.exit_code == 0, result.output


def test_a_mapping_is_for_csv(crm: Crm) -> None:
    mapping = crm.write("m.yaml", "customer_id: id\nfields: {updated_at: {value: 2026-01-01T00:00:00Z}, email: mail}\n")
    file = crm.write("a.csv", "id,mail\n1,a@example.com\n")
    assert crm.publish("customers", file, "--mapping", mapping, "--source", "dell-crm").exit_code == 0
    lines = crm.write("a.jsonl", "{}\n")
    assert isinstance(crm.publish("customers", lines, "--mapping", mapping).exception, SluiceError)


def test_max_errors_ends_it(crm: Crm) -> None:
    result = crm.publish("customers", crm.write("a.jsonl", "x\n" * 50), "--max-errors", "3", "--json")
    assert figures(result)["read"] == 3
    assert figures(result)["stopped"] == "3 errors were reached"


@pytest.mark.parametrize("words", [("missing.csv",), ("x.csv", "--source", "a:b"), ("x.xlsx",)])
def test_a_wrong_call_is_told_in_a_sentence(crm: Crm, words: tuple[str, ...]) -> None:
    crm.write("x.csv", "customer_id,updated_at\n")
    crm.write("x.xlsx", "")
    result = crm.publish("customers", str(crm.folder / words[0]), *words[1:])
    assert isinstance(result.exception, SluiceError)


def test_files_with_types_are_told_as_others_are(crm: Crm) -> None:
    columns = {"customer_id": ["1", "2"], "updated_at": [1, 2], "email": ["a@example.com", None], "phone": [None, 5]}
    file = crm.folder / "a.parquet"
    pq.write_table(pa.table(columns), file)
    result = crm.publish("customers", str(file), "--json")
    assert result.exit_code == 1
    assert (figures(result)["valid"], figures(result)["refused"]) == (1, 1)
    assert result.stderr == f"{file}:2: `phone` has to be text.\n"


def test_a_file_is_checked_and_a_folder_is_watched(crm: Crm) -> None:
    result = crm.publish("customers", str(crm.folder), "--watch")
    assert isinstance(result.exception, SluiceError)
    assert str(result.exception).startswith("--dry-run checks a single file")

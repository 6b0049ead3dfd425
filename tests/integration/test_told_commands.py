"""Every `sluice` command that README and docs tell is typed, on a real installation, and ends as it should.

`make` targets are held against the Makefile (tests/repo); what speaks to containers or runs Kafka's own tools is not
ours. The tutorial is walked through whole by a test of its own.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import catalogue
from sluice import topics
from tests.integration.commands import Command, run
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, Installation, eventually
from tests.repo.told import DOCUMENTS, ROOT, commands

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]

TUTORIAL = "tutorial.md"
FOUND = list(
    dict.fromkeys(
        shlex.join(words[1:])
        for path in DOCUMENTS
        if path.name != TUTORIAL
        for words in commands(path.read_text(encoding="utf-8"))
        if words[0] == "sluice"
    )
)
"""Once each, in the order of the documents, without `sluice`."""


@dataclass(frozen=True, slots=True)
class How:
    """What is not as it stands in the document, or not status 0 at the end."""

    typed: str = ""
    """With words for placeholders, or with those that a sentence leaves out because it only names the command."""
    stdin: str = ""
    answer: str = ""
    """What is typed when it asks: it asks nobody but a terminal."""
    status: int = 0
    before: Callable[[Installation], None] | None = None
    says: str = ""
    """It goes on until somebody ends it, which is done when it has said this."""
    meanwhile: Callable[[Installation], None] | None = None
    signal: signal.Signals = signal.SIGINT


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """It is not typed here."""

    why: str
    place: str
    """The file that types it."""
    words: str
    """As they stand there."""


def edit(installation: Installation) -> None:
    """Something to plan."""
    path = installation.contracts_folder / f"{ADRESSO}.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("acknowledge_within: P7D", "acknowledge_within: P6D"), "utf-8"
    )


def say_something_new(installation: Installation) -> None:
    installation.update("crm:1")
    installation.update("crm:1", given_name="Hanako")


def set_by_hand(installation: Installation) -> None:
    """What no contract asks for."""
    installation._set(topics.ENRICHMENTS, "retention.ms", "1000000")


YES = "y\n"
OWN_BROKER = "it starts, or ends, a broker of its own"
A_DEMO = "a story of minutes on a broker of its own"
DEMOS = "tests/integration/test_demos.py"
WATCHES = "Watching"
SERVES = '"serving"'
FILLED = {
    "/srv/drops": "drops",
    "/srv/drops/consents": "drops/consents",
    "/srv/drops/customers": "drops/customers",
    "CUSTOMER": "dell-crm:000123",
    "P": HOSHI,
    "PARTNER": ADRESSO,
}
"""What stands for a word of a document."""

ELSEWHERE = {
    "local": Elsewhere("a group; its commands are typed elsewhere", "docs/tutorial.md", "sluice local up"),
    "local up": Elsewhere(OWN_BROKER, "docs/tutorial.md", "sluice local up"),
    "local down": Elsewhere(OWN_BROKER, "docs/tutorial.md", "sluice local down"),
    "demo": Elsewhere(A_DEMO, DEMOS, '"demo": ('),
    "demo address-hygiene": Elsewhere(A_DEMO, DEMOS, '"demo address-hygiene": ('),
    "demo email-house": Elsewhere(A_DEMO, DEMOS, '"demo email-house": ('),
}

ALONE = {
    "run sharing": How(says=SERVES),
    "run sharing --until-end": How(),
    "run sharing --workers 2": How(says=SERVES, signal=signal.SIGTERM),
    "run returns": How(says=SERVES),
    "run providers": How(says=SERVES, signal=signal.SIGTERM),
}
"""While nothing else shares."""

AT_THE_END = {
    "apply --rotate hoshi-card": How(answer=YES),
    "apply --destroy password/hoshi-card/SCRAM-SHA-512": How(answer=YES),
    "apply --destroy ADDRESS": How(
        typed="apply --destroy setting/crm.enrichments/retention.ms", answer=YES, before=set_by_hand
    ),
    "apply --destroy partner/hoshi-card": How(answer=YES),
    "apply --destroy partner/ID": How(typed=f"apply --destroy partner/{ADRESSO}", answer=YES),
}
"""Of a partner, in this order."""

LOST = {"recover-disclosures": How(), "recover-disclosures --yes": How()}
"""When evidence is lost."""

TOGETHER = {
    "apply": How(answer=YES),
    "apply plan.json": How(answer=YES),
    "apply --kit hoshi-card": How(answer=YES),
    "apply --kit PARTNER": How(typed="apply --kit adresso", answer=YES),
    "plan --out plan.json": How(status=2, before=edit),
    "check-contracts": How(typed="check-contracts contracts"),
    "destroy-key": How(typed="destroy-key dell-crm:000124", answer=YES),
    "destroy-key CUSTOMER": How(typed="destroy-key dell-crm:000123", answer=YES),
    "explain": How(typed="explain crm:1"),
    "publish": How(typed="publish customers customers.csv"),
    "publish signals": How(typed="publish signals signals.jsonl"),
    "publish customers - --format jsonl": How(stdin='{"customer_id": "crm:5", "updated_at": 1790000000000}\n'),
    "publish consents /srv/drops/consents --watch --list-errors 1000": How(says=WATCHES),
    "publish customers /srv/drops --watch": How(says=WATCHES),
    "publish customers /srv/drops/customers --watch --source dell-crm": How(says=WATCHES, signal=signal.SIGTERM),
    "publish customers drops/ --watch": How(says=WATCHES),
    "simulate-crm --customers 1000 --rate 50 --duration 60": How(
        typed="simulate-crm --customers 100 --rate 50 --duration 2"
    ),
    "simulate-crm --rate 50 --duration 60": How(typed="simulate-crm --rate 50 --duration 2"),
    "tail hoshi-card": How(says="given_name", meanwhile=say_something_new),
    "tail hoshi-card --from-beginning": How(says="given_name"),
    "tokens issue members": How(stdin="one\ntwo\n"),
    "tokens revoke members": How(stdin="one\n"),
}
"""Those that stand in no table are typed as they are, beside these."""


def typed(command: str, how: How) -> list[str]:
    return [FILLED.get(word, word) for word in shlex.split(how.typed or command)]


def test_each_is_typed_once() -> None:
    """No table names a command that no document tells, and none is in two of them."""
    named = [*ELSEWHERE, *ALONE, *AT_THE_END, *LOST, *TOGETHER]
    assert len(named) == len(set(named))
    assert set(named) <= set(FOUND)
    assert len(FOUND) > 80


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_not_typed_here_is_typed_there(command: str) -> None:
    other = ELSEWHERE[command]
    assert other.words in (ROOT / other.place).read_text(encoding="utf-8"), other.why


def test_what_stands_beside_a_running_installation(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All but those of the other tables, in the order of the documents."""
    monkeypatch.chdir(tmp_path)
    prepare(installation)
    running = [installation.start_processor(), installation.start_returns(), installation.start_providers()]
    for customer in ("crm:1", "crm:2", "dell-crm:000123"):
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer)
    eventually(lambda: len(installation.holds(HOSHI)) == 3, "shared")
    installation.say("crm:2", HOSHI, "WITHDRAWN")
    installation.send(topics.CUSTOMER_UPDATES, b"crm:3", b"\0\x7f\xff\xff\xff of no schema")
    eventually(lambda: len(installation.control(HOSHI)) == 1 and installation.rejected(), "recalled and rejected")
    others = {*ELSEWHERE, *ALONE, *AT_THE_END, *LOST}
    failed = [
        sentence
        for command in FOUND
        if command not in others
        for sentence in tried(installation, command, TOGETHER.get(command, How()))
    ]
    assert not failed, "\n\n".join(failed)
    for process in running:
        process.stop()


def test_what_runs_alone(installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    failed = [sentence for command, how in ALONE.items() for sentence in tried(installation, command, how)]
    assert not failed, "\n\n".join(failed)


def test_the_end_of_a_partner(installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody has run here, so nobody holds anything."""
    monkeypatch.chdir(tmp_path)
    failed: list[str] = []
    for command, how in AT_THE_END.items():
        if "partner/" in command:
            partner = typed(command, how)[-1].removeprefix("partner/")
            (installation.contracts_folder / f"{partner}.yaml").unlink()
            installation.apply()
        failed += tried(installation, command, how)
    assert not failed, "\n\n".join(failed)
    assert [path.stem for path in installation.contracts_folder.iterdir()] == [LISTMART]


def test_what_recovers_lost_evidence(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with installation.processor():
        installation.update("crm:1")
        eventually(lambda: installation.has(ADRESSO, "crm:1"), "shared")
    installation.is_tampered_with = True
    installation.delete_records(topics.DISCLOSURES)
    failed = [sentence for command, how in LOST.items() for sentence in tried(installation, command, how)]
    assert not failed, "\n\n".join(failed)
    assert installation.disclosed()


def tried(installation: Installation, command: str, how: How) -> Iterator[str]:
    """What was wrong with it, with all that it said."""
    if how.before:
        how.before(installation)
    words = typed(command, how)
    if not how.says:
        with standard_input(installation.folder / "stdin", how) as stdin:
            try:
                done = run(words, stdin=stdin)
            except subprocess.TimeoutExpired as slow:
                yield f"sluice {shlex.join(words)}: {slow}"
                return
        if done.returncode != how.status:
            yield f"sluice {shlex.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return
    said = installation.folder / "said"
    said.unlink(missing_ok=True)
    going = Command(words, said, said)
    try:
        for _ in range(600):
            if how.says in said.read_text(encoding="utf-8") or ended_within(going, 0.1):
                break
            if how.meanwhile:
                how.meanwhile(installation)
        has_said = how.says in said.read_text(encoding="utf-8")
        going.send_signal(how.signal)
        status = going.returncode if ended_within(going, 30) else None
    finally:
        going.kill()
    if status != how.status or not has_said:
        yield f"sluice {shlex.join(words)}: {status}\n{said.read_text(encoding='utf-8')}"


@contextmanager
def standard_input(file: Path, how: How) -> Iterator[Path]:
    """A file, or a terminal at which somebody has typed the answer."""
    if not how.answer:
        file.write_text(how.stdin, encoding="utf-8")
        yield file
        return
    ours, theirs = pty.openpty()
    try:
        os.write(ours, how.answer.encode())
        yield Path(os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def ended_within(command: Command, seconds: float) -> bool:
    try:
        command.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def prepare(installation: Installation) -> None:
    """Contracts, settings and files that documents speak of, in the folder where commands are typed."""
    folder = installation.folder
    settings = json.loads(installation.settings_path.read_text(encoding="utf-8"))
    settings["customer_keys"] = "customer_keys"
    installation.settings_path.write_text(json.dumps(settings), encoding="utf-8")
    shutil.copy(ROOT / "deploy/demo/email-house/letterbird.yaml", installation.contracts_folder)
    installation.apply()
    installation.remove_left_over()
    for name in ("draft", "draft-contracts"):
        shutil.copytree(installation.contracts_folder, folder / name)
    for name in ("drops/customers", "drops/consents"):
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / "deploy/demo/signals.yaml", folder)
    (folder / "customer.avsc").write_text(catalogue.text("customer_profile"), encoding="utf-8")
    customers = [{"customer_id": f"dell-crm:{number:06}", "updated_at": 1_790_000_000_000} for number in (123, 124)]
    csv = "customer_id,updated_at\n" + "".join(f"{number:06},1790000000000\n" for number in (123, 124))
    for name in ("customers.csv", "people.csv"):
        (folder / name).write_text(csv, encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(customers), folder / "export.parquet")
    consents = [installation.consent(one, HOSHI, "GIVEN") for one in ("crm:1", "dell-crm:000124")]
    signals = [{"subject_id": "dell-crm:000124", "received_at": "2026-01-05T09:00:00Z", "gpc": "1"}]
    own = [{"customer_id": "crm:1", "family_name": "Mori", "residence": "AU", "updated_at": 1_790_000_000_000}]
    for name, rows in {"c": own, "consents": consents, "e": consents[:1], "signals": signals}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

"""No secret is seen from outside: canaries for keys and passwords, and a search through everything that can be seen."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from sluice import topics
from sluice.cli import cli
from sluice.local import broker, ports, stack, state
from sluice.local.errors import LocalError
from sluice.local.stack import Endpoints
from tests.integration.canaries import FORMS, MARK, ROOT_KEY, Processes, betraying, betrays, files, password
from tests.integration.installation import ADRESSO, CONTRACTS, HOSHI, LISTMART, Installation, eventually

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]  # every command there is, one after the other

VARIABLE = "SLUICE_TEST_PASSWORD"
HOSHIS = {VARIABLE: password(HOSHI)}
"""The one password that stands in the environment, of those who need it."""
OWN_FILES = ("sluice-local.json", "broker/server.properties", "clients/", "master.key", f"kit/{HOSHI}.properties")
"""Where secrets are kept, and handed over."""
_OF_ANOTHER_TEST = "-delete/"
"""What the broker still has of topics that were deleted, for a minute: one test plants a secret in a topic."""

COMMANDS: dict[str, list[str]] = {
    "acknowledge": ["acknowledge", HOSHI],
    "check-contracts": ["check-contracts", str(CONTRACTS)],
    "contract-schema": ["contract-schema"],
    "destroy-key": ["destroy-key", "crm:1", "--yes"],
    "explain": ["explain", "crm:1", "--json", "--values"],
    "local down": ["local", "down", "--state", "{state}"],
    "local status": ["local", "status", "--json", "--state", "{state}"],
    "local up": ["local", "up", "--json", "--state", "{state}"],
    "apply": ["apply", "--yes", "--json"],
    "partner-kit": ["partner-kit", HOSHI, "--out", "{folder}/kit", "--json"],
    "plan": ["plan", "--json"],
    "publish consents": ["publish", "consents", "{folder}/consents.jsonl", "--json"],
    "publish customers": ["publish", "customers", "{folder}/customers.jsonl", "--json"],
    "publish signals": ["publish", "signals", "{folder}/signals.jsonl", "--json"],
    "recalls": ["recalls", "--json"],
    "recover-disclosures": ["recover-disclosures", "--json"],
    "redrive": ["redrive", "--dry-run", "--json"],
    "rejected": ["rejected", "--json"],
    "doctor": ["doctor", "--json"],
    "render grafana": ["render", "grafana", "{folder}/dashboards"],
    "render kubernetes": ["render", "kubernetes"],
    "render prometheus": ["render", "prometheus"],
    "run sharing": ["run", "sharing", "--until-end", "--metrics-port", "0"],
    "simulate": ["simulate", "--json", "--workers", "2"],
    "simulate-crm": ["simulate-crm", "--json", "--rate", "50", "--duration", "1"],
    "tail": ["tail", HOSHI, "--from-beginning", "--until-end", "--json"],
    "tokens issue": ["tokens", "issue", "members", "--json"],
    "tokens revoke": ["tokens", "revoke", "members", "--json"],
    "verify": ["verify", "--json", "--workers", "2", "--wait", "0"],
}
GOING_ON = {"run providers": ["run", "providers"], "run returns": ["run", "returns"]}
"""They end when they are interrupted."""
WITHOUT_CONTRACT = {
    "request-campaign": (["request-campaign", ADRESSO, "spring"], "has no `campaigns`"),
    "simulate-provider": (["simulate-provider", "hygiene", LISTMART], "Run `sluice apply` first"),
}
"""They end with a sentence: the demo's contracts ask nobody for that."""
WITHOUT_SETTINGS = ("check-contracts", "contract-schema", "local", "render grafana", "render prometheus")
RUNS_THE_OTHERS = {"demo address-hygiene", "demo email-house"}
NEEDS_HOSHIS = ("acknowledge", "apply", "partner-kit", "plan", "tail")


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A broker of our own, all of whose passwords are canaries; in each way that a password can be said."""
    folder = tmp_path_factory.mktemp("local")
    chosen = ports.choose(4)
    copy = state.create(folder, (chosen[0], chosen[1]), (chosen[2], chosen[3]))
    identity = replace(copy.identity, admin_password=password("admin"), node_password=password("node"))
    state.save(replace(copy, identity=identity))
    started = stack.start(folder)
    (started.clients / "mounted").mkdir(mode=0o700)
    for name in (ADRESSO, LISTMART):
        write(started.clients / "mounted" / name, password(name))
    write(started.clients / "passwords", f"sharing={password('sharing')}\n")
    said: dict[str, str] = {
        "crm": password("crm"),
        "providers": password("providers"),
        "returns": password("returns"),
        "sharing": "${file:passwords:sharing}",
        HOSHI: f"${{env:{VARIABLE}}}",
        ADRESSO: f"${{dir:mounted:{ADRESSO}}}",
        LISTMART: f"${{dir:mounted:{LISTMART}}}",
    }
    admin = (started.clients / "admin.properties").read_text()
    for user, secret in said.items():
        text = admin.replace("username=admin", f"username={user}").replace(password("admin"), secret)
        write(started.clients / f"{user}.properties", text)
    yield started
    stack.stop(folder)


@pytest.fixture
def installation(endpoints: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    fresh = Installation(endpoints, tmp_path)
    write(tmp_path / "master.key", ROOT_KEY)
    with monkeypatch.context() as environment:
        environment.setenv(VARIABLE, HOSHIS[VARIABLE])
        fresh.set_up()
    yield fresh
    fresh.tear_down()


def write(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


class Desk:
    """Runs commands and keeps all that they say."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.said: dict[str, bytes] = {}
        self.state = installation.settings.clients.parent

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return self._kept(["-m", "sluice", *self._with_settings(words)], environment)

    def run_broken(self, breaking: str, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """With a fault in our own code, which nobody catches."""
        program = f"{breaking}\nfrom sluice.cli import main\nmain()"
        return self._kept(["-c", program, *self._with_settings(words)], environment)

    def interrupted(self, *words: str, seconds: float, **environment: str) -> None:
        command = [sys.executable, "-m", "sluice", *self._with_settings(words)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}
        ) as running:
            time.sleep(seconds)
            running.send_signal(signal.SIGINT)
            self._keep(f"interrupted {words}", *running.communicate(timeout=30))

    def settings(self, **changed: object) -> None:
        path = self.installation.settings_path
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    def seen(self) -> dict[str, bytes]:
        """What was said, what lies in folders that is no secret's own file, and what stands in topics."""
        there = {
            place: content
            for place, content in files(self.state, self.installation.folder).items()
            if not any(own in place for own in OWN_FILES) and _OF_ANOTHER_TEST not in place
        }
        return self.said | there | self._records()

    def _records(self) -> dict[str, bytes]:
        found = {}
        for topic in self.installation.admin.list_topics(timeout=10).topics:
            if not topic.startswith("__"):  # those are no transaction's; they lie in the broker's folder, as they are
                records = self.installation.read(topic)
                found[topic] = b"".join((r.key or b"") + (r.value or b"") for r in records)
        return found

    def _with_settings(self, words: tuple[str, ...]) -> list[str]:
        filled = [word.format(state=self.state, folder=self.installation.folder) for word in words]
        if words[0] in WITHOUT_SETTINGS or " ".join(words[:2]) in WITHOUT_SETTINGS:
            return filled
        return [*filled, "--settings", str(self.installation.settings_path)]

    def _kept(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True, check=False, timeout=120, env={**os.environ, **environment}, input=b"one\ntwo\n",
        )  # fmt: skip
        self._keep(" ".join(command), done.stdout, done.stderr)
        return done

    def _keep(self, what: str, stdout: bytes, stderr: bytes) -> None:
        self.said[f"{len(self.said)}: {what}"] = stdout + stderr


@pytest.fixture
def desk(installation: Installation) -> Desk:
    (installation.folder / "customers.jsonl").write_text(
        '{"customer_id": "crm:7", "family_name": "Mori", "updated_at": 1790000000000}\n'
    )
    (installation.folder / "consents.jsonl").write_text(
        json.dumps(installation.consent("crm:7", HOSHI, "GIVEN")) + "\n"
    )
    (installation.folder / "signals.jsonl").write_text(
        '{"subject_id": "crm:7", "received_at": "2026-01-05T09:00:00Z", "gpc": "1"}\n'
    )
    made = Desk(installation)
    made.settings(customer_keys=str(installation.folder / "customers.sqlite"))
    return made


def every_command(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from every_command(command, *before, name)
        else:
            yield (*before, name)


def test_no_command_shows_a_secret(desk: Desk) -> None:
    """Also in the broker's folder, every topic, the stores, the metrics, and the list of processes."""
    known = {*COMMANDS, *GOING_ON, *WITHOUT_CONTRACT, *RUNS_THE_OTHERS}
    assert known == {" ".join(words) for words in every_command(cli)}
    there = desk.installation
    with Processes() as processes:
        for name in every_command(cli):
            desk.said[f"{name} --help"] = (
                CliRunner().invoke(cli, [*name, "--help"], catch_exceptions=False).output.encode()
            )
        there.say("crm:1", HOSHI, "GIVEN")
        there.update("crm:1")
        there.send(topics.CUSTOMER_UPDATES, b"crm:2", b"\0damaged")
        for words in (COMMANDS[name] for name in sorted(COMMANDS, key=lambda name: name != "run sharing")):
            environment = HOSHIS if words[0] in NEEDS_HOSHIS else {}
            if words[:2] != ["local", "down"]:
                done = desk.run(*words, **environment)
                assert b"Traceback" not in done.stderr, done.stderr
                assert done.returncode in ((0, 1) if words[0] == "doctor" else (0,)), (words, done)  # nobody shares yet
        for words, sentence in WITHOUT_CONTRACT.values():
            refuses(desk, sentence, *words)
        for words in GOING_ON.values():
            desk.interrupted(*words, seconds=8)
        workers = desk.run(*COMMANDS["run sharing"], "--workers", "2")
        assert workers.returncode == 0, workers
        running = there.start_processor()
        metrics = eventually(lambda: running.said("serving_metrics"), "metrics")["url"]
        desk.said["metrics"] = urllib.request.urlopen(metrics, timeout=5).read()  # noqa: S310 - our own endpoint
        running.stop()
    assert b"sluice_events_total" in desk.said["metrics"]
    assert betraying(desk.seen()) == []
    assert any("kafka.Kafka" in line for line in processes.looked_at)
    assert any("multiprocessing" in line for line in processes.looked_at)
    assert processes.command_lines == set()
    assert {
        line for line in processes.environments if not any(f"sluice {name} " in line for name in NEEDS_HOSHIS)
    } == set()


def refuses(desk: Desk, sentence: str, *words: str, **environment: str) -> None:
    done = desk.run(*words, **environment)
    assert done.returncode == 1, done
    assert sentence.encode() in done.stderr, done.stderr
    assert b"Traceback" not in done.stderr


def wrong_passwords(desk: Desk) -> None:
    clients = desk.installation.settings.clients
    refuses(desk, "Cannot ", *COMMANDS["tail"], **{VARIABLE: password("wrong")})
    refuses(desk, f"environment variable {VARIABLE}", *COMMANDS["tail"])
    passwords, crm = clients / "passwords", clients / "crm.properties"
    write(passwords, f"sharing={password('another')}\n")
    refuses(desk, "Cannot ", *COMMANDS["run sharing"])
    write(passwords, f"{password('damaged')}\n")
    refuses(desk, "passwords:1: this line is no `key=value`", *COMMANDS["run sharing"])
    write(passwords, f"sharing={password('sharing')}\n")
    passwords.chmod(0o644)
    refuses(desk, "run `chmod 600 ", *COMMANDS["run sharing"])
    passwords.chmod(0o600)
    before = crm.read_text()
    write(crm, before.replace("sasl.password", "sasl.passwrd"))
    refuses(desk, "No such configuration property", *COMMANDS["publish customers"])
    write(crm, before)


def wrong_keys(desk: Desk) -> None:
    key = desk.installation.folder / "master.key"
    key.chmod(0o644)
    refuses(desk, "run `chmod 600 ", *COMMANDS["run sharing"])
    key.chmod(0o600)
    for wrong in (ROOT_KEY[:-1], f"{ROOT_KEY}00"):
        write(key, wrong)
        refuses(desk, "The master key", *COMMANDS["tokens issue"])
    write(key, ROOT_KEY[2:] + "00")
    refuses(desk, "recorded with another master key", *COMMANDS["run sharing"], "--workers", "2")
    write(key, ROOT_KEY)
    desk.settings(master_key=ROOT_KEY)
    refuses(desk, "the key itself stands here", *COMMANDS["tokens issue"])
    desk.settings(master_key={"command": ["sh", "-c", f"cat {key} {key} >&2; exit 3"]})
    refuses(desk, "ended with status 3", *COMMANDS["tokens issue"])
    desk.settings(master_key=str(key))


def faults_of_our_own_and_interrupts(desk: Desk) -> None:
    broken = "from sluice.keys import MasterKey\nMasterKey.derive = lambda self, *info: 1 / 0"
    for command in ("explain", "run sharing"):
        assert b"ZeroDivisionError" in desk.run_broken(broken, *COMMANDS[command]).stderr
    broken = "from sluice.kafka.tailing import Tail\nTail.to_the_end = lambda self: 1 / 0"
    assert b"ZeroDivisionError" in desk.run_broken(broken, *COMMANDS["tail"], **HOSHIS).stderr
    running = desk.installation.start_processor()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 0
    for command in ("tail", "verify", "run sharing"):  # early or late, as the machine is busy
        desk.interrupted(*COMMANDS[command], seconds=2, **HOSHIS)


def broker_away(desk: Desk) -> None:
    running = desk.installation.start_processor()
    desk.run(*COMMANDS["local down"])
    try:
        for name in ("publish customers", "explain", "tail", "apply"):
            done = desk.run(*COMMANDS[name], **(HOSHIS if name in NEEDS_HOSHIS else {}))
            assert done.returncode == 1, done
            assert b"Traceback" not in done.stderr, done.stderr
    finally:
        assert desk.run(*COMMANDS["local up"]).returncode == 0
    running.stop()


@pytest.mark.parametrize(
    "go_wrong", [wrong_passwords, wrong_keys, faults_of_our_own_and_interrupts, broker_away], ids=lambda f: f.__name__
)
def test_no_failure_shows_a_secret(desk: Desk, go_wrong: Callable[[Desk], None]) -> None:
    with Processes() as processes:
        go_wrong(desk)
    assert betraying(desk.seen()) == []
    assert processes.command_lines == set()


def test_the_master_key_from_the_environment_or_a_program(desk: Desk) -> None:
    """Who starts workers with a variable hands it to them, and to nobody else."""
    key = desk.installation.folder / "master.key"
    explain, workers = COMMANDS["explain"], [*COMMANDS["run sharing"], "--workers", "2"]
    desk.installation.update("crm:1")
    before = desk.run(*explain).stdout
    with Processes() as processes:
        desk.settings(master_key={"command": ["sh", "-c", f"cat {key}; sleep 0.2"]})
        assert (
            json.loads(desk.run(*explain).stdout.splitlines()[0])["partner"]
            == json.loads(before.splitlines()[0])["partner"]
        )
        assert desk.run(*workers).returncode == 0
        assert desk.run(*COMMANDS["verify"]).returncode == 0
    assert processes.environments == set()
    assert any(line.startswith(f"sh -c cat {key}") for line in processes.looked_at)
    desk.settings(master_key={"env": "SLUICE_TEST_KEY"})
    with Processes() as processes:
        assert desk.run(*workers, SLUICE_TEST_KEY=ROOT_KEY).returncode == 0
        assert b"SLUICE_TEST_KEY" in desk.run(*explain).stderr
    assert processes.command_lines == set()
    assert all(" -m sluice run sharing" in line or "multiprocessing" in line for line in processes.environments)
    assert betraying(desk.seen()) == []


def test_another_master_key_on_purpose_gives_everybody_another_name(installation: Installation) -> None:
    with installation.processor():
        installation.say("crm:1", LISTMART, "GIVEN")
        installation.update("crm:1")
        before = eventually(lambda: installation.holds(LISTMART), "shared")
    write(installation.folder / "master.key", ROOT_KEY[2:] + "00")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(VARIABLE, HOSHIS[VARIABLE])
        installation.apply()
    with installation.processor():
        after = eventually(lambda: installation.has(LISTMART, "crm:1") and installation.holds(LISTMART), "shared anew")
    assert len(before) == len(after) == 1
    assert not {*before} & {*after}


def test_storage_that_cannot_be_made_shows_no_password(tmp_path: Path) -> None:
    """The tool that makes it prints its arguments when it does not like them."""
    copy = state.create(tmp_path, (1, 2), (3, 4))
    state.make_folders(copy)
    identity = replace(copy.identity, cluster_id="-x", admin_password=password("admin"), node_password=password("node"))
    state.save(replace(copy, identity=identity))
    try:
        with Processes() as processes, pytest.raises(LocalError) as raised:
            stack.start(tmp_path, services=[broker.NAME])
    finally:
        stack.stop(tmp_path)
    assert not betrays(str(raised.value).encode())
    assert processes.command_lines == set()
    seen = {place: content for place, content in files(tmp_path).items() if not any(o in place for o in OWN_FILES)}
    assert betraying(seen) == []


def test_the_search_finds_what_is_planted(desk: Desk) -> None:
    planted = b"before " + FORMS["key"] + b" after"
    (desk.installation.folder / "state").mkdir()
    (desk.installation.folder / "state" / "file").write_bytes(planted)
    producer = Producer({**desk.installation.settings.client("admin"), "compression.type": "lz4", "log_level": 0})
    producer.produce(topics.REJECTED, planted, b"key")
    producer.flush(10)
    desk.run_broken(f"print('{MARK}')", "contract-schema")
    found = betraying(desk.seen())
    assert str(desk.installation.folder / "state" / "file") in found
    assert topics.REJECTED in found
    assert any(place.startswith("0: ") for place in found)
    with Processes() as processes:
        subprocess.run(["sleep", "0.5"], env={"A": ROOT_KEY}, check=True)
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", ROOT_KEY.upper()], check=True)
    assert any("sleep 0.5" in line for line in processes.environments)
    assert any(ROOT_KEY.upper() in line for line in processes.command_lines)


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    assert betrays(b"before " + FORMS[form] + b" after")
    assert not betrays(b"before after")


def test_base64_of_a_secret_is_found() -> None:
    for text in (ROOT_KEY, password("crm") * 3):
        for before in range(3):
            assert betrays(base64.b64encode(b"x" * before + text.encode()))

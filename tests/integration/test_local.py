"""The local copy, for real: it starts, refuses strangers, survives kills, and stops."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.schema_registry_client import Schema

from sluice.local import artefacts, cache, ports, process, properties, stack, state
from sluice.local.commands import local
from sluice.local.errors import LocalError
from sluice.local.progress import Silence

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
UP = "import sys; from sluice.local.commands import local; local(['up', '--state', sys.argv[1]])"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("local") / "copy"
    yield made
    stack.delete(made)


@pytest.fixture
def copy(folder: Path) -> stack.Endpoints:
    """A copy that is up, whatever the test before did to it."""
    return stack.start(folder)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "fresh"
    stack.delete(tmp_path / "fresh")


def _command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(local, [str(argument) for argument in arguments])


def _admin_settings(copy: stack.Endpoints) -> dict[str, str]:
    return properties.parse((copy.clients / "admin.properties").read_text(encoding="utf-8"))


def _pids(folder: Path) -> dict[str, int | None]:
    return {service.name: service.pid for service in stack.status(folder).services}


def _pid(folder: Path, service: str) -> int:
    pid = _pids(folder)[service]
    assert pid is not None
    return pid


def _kill(folder: Path, service: str) -> None:
    os.kill(_pid(folder, service), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _pids(folder)[service] is not None and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_refused(settings: dict[str, str]) -> bool:
    admin = AdminClient({**settings, "log_level": 0})
    try:
        admin.list_topics(timeout=5)
    except KafkaException:
        return True
    return False


def _produce(copy: stack.Endpoints, topic: str, value: bytes) -> None:
    settings = _admin_settings(copy)
    admin = AdminClient(dict(settings))  # kept, because without it the answer is dropped
    (created,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    created.result()
    producer = Producer(dict(settings))
    producer.produce(topic, value)
    assert producer.flush(10) == 0


def _first_value(copy: stack.Endpoints, topic: str) -> bytes | None:
    consumer = Consumer({**_admin_settings(copy), "group.id": "reader", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        assert message is not None
        return message.value()
    finally:
        consumer.close()


def test_status_tells_endpoints_and_processes(copy: stack.Endpoints, folder: Path) -> None:
    result = _command("status", "--json", "--state", folder)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["up"] is True
    assert told["endpoints"]["bootstrap"] == copy.bootstrap
    assert {service["name"]: service["pid"] for service in told["services"]} == _pids(folder)
    assert "running for" in _command("status", "--state", folder).stdout


def test_a_second_up_changes_nothing(copy: stack.Endpoints, folder: Path) -> None:
    before = _pids(folder)
    result = _command("up", "--json", "--state", folder)
    assert result.exit_code == 0
    assert "already running" in result.stderr
    assert json.loads(result.stdout)["registry_url"] == copy.registry_url
    assert _pids(folder) == before


def test_nobody_gets_in_without_the_right_password(copy: stack.Endpoints, folder: Path) -> None:
    admin = _admin_settings(copy)
    known = state.find(folder)
    assert known is not None
    controller = f"127.0.0.1:{known.identity.broker_ports[1]}"
    strangers = [{**admin, "bootstrap.servers": controller}]
    for bootstrap in (copy.bootstrap, controller):
        at = {**admin, "bootstrap.servers": bootstrap}
        strangers += [
            {"bootstrap.servers": bootstrap},
            {**at, "sasl.password": "wrong"},
            {**at, "sasl.username": "nobody"},
            {**at, "sasl.mechanism": "PLAIN"},
        ]
    with ThreadPoolExecutor(len(strangers) + 1) as pool:
        friend = pool.submit(_is_refused, admin)
        assert list(pool.map(_is_refused, strangers)) == [True] * len(strangers)
    assert friend.result() is False


def test_all_ports_are_of_the_loopback_interface(copy: stack.Endpoints, folder: Path) -> None:
    known = state.find(folder)
    assert known is not None
    outside = [str(address) for *_, (address, *_) in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for port in known.identity.broker_ports + known.identity.registry_ports:
        assert ports.is_open(port), copy
        for address in outside:
            with closing(socket.socket()) as probe:
                probe.settimeout(1)
                assert address.startswith("127.") or probe.connect_ex((address, port)) != 0


def test_passwords_are_in_private_files_and_on_no_command_line(copy: stack.Endpoints, folder: Path) -> None:
    password = _admin_settings(copy)["sasl.password"]
    for service in stack.SERVICES:
        words = process._command_line(_pid(folder, service))
        assert words
        assert not any(password in word for word in words)
    readable = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in readable if password.encode() in path.read_bytes()]
    assert folder.stat().st_mode & 0o077 == 0


def test_a_killed_broker_is_reported_and_comes_back_with_its_data(copy: stack.Endpoints, folder: Path) -> None:
    _produce(copy, "kept", b"value")
    _kill(folder, "broker")
    told = _command("status", "--state", folder)
    assert told.exit_code == 1
    assert "broker   stopped" in told.stdout
    assert _command("up", "--state", folder).exit_code == 0
    assert _first_value(copy, "kept") == b"value"


def test_a_killed_broker_remembers_users_though_one_was_removed(copy: stack.Endpoints, folder: Path) -> None:
    """This one's name comes first in Java's hash tables, whatever their size: see `sluice.local.broker`."""
    name, mechanism = "f5a5a608", ScramMechanism.SCRAM_SHA_512
    admin = AdminClient({**_admin_settings(copy)})
    alterations: tuple[UserScramCredentialAlteration, ...] = (
        UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), b"a password"),
        UserScramCredentialDeletion(name, mechanism),
    )
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and not [*(folder / "broker/data/__cluster_metadata-0").glob("*.checkpoint")]:
        for alteration in alterations:
            for done in admin.alter_user_scram_credentials([alteration]).values():
                done.result(20)
        time.sleep(0.5)
    _kill(folder, "broker")
    assert not _is_refused(_admin_settings(stack.start(folder)))


def test_a_killed_registry_comes_back_with_its_schemas(copy: stack.Endpoints, folder: Path) -> None:
    with SchemaRegistryClient({"url": copy.registry_url}) as client:
        assert client.get_config().compatibility_level == "BACKWARD"
        registered = client.register_schema("kept-value", Schema('{"type": "string"}', "AVRO"))
    broker = _pid(folder, "broker")
    _kill(folder, "registry")
    stack.start(folder)
    assert _pid(folder, "broker") == broker
    with SchemaRegistryClient({"url": copy.registry_url}) as client:
        assert client.get_latest_version("kept-value").schema_id == registered


def test_one_service_can_be_stopped_and_started_alone(copy: stack.Endpoints, folder: Path) -> None:
    assert stack.stop(folder, ("registry",)) == ("registry",)
    assert not _is_refused(_admin_settings(copy))
    assert [service.answers for service in stack.status(folder).services] == [False, True]
    assert stack.start(folder, services=("registry",)) == copy


def test_a_taken_port_is_given_up_and_every_file_follows(copy: stack.Endpoints, folder: Path) -> None:
    theirs = copy.clients / "partner.properties"
    properties.write_private(
        theirs, properties.render({"bootstrap.servers": copy.bootstrap, "sasl.username": "partner"})
    )
    assert set(stack.stop(folder)) == set(stack.SERVICES)
    with closing(socket.create_server(("127.0.0.1", int(copy.bootstrap.partition(":")[2])))):
        moved = stack.start(folder)
    assert moved.bootstrap != copy.bootstrap
    assert moved.registry_url == copy.registry_url
    assert properties.parse(theirs.read_text(encoding="utf-8"))["bootstrap.servers"] == moved.bootstrap
    assert not _is_refused(_admin_settings(moved))


def _start_up(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UP, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("seconds", [1.0, 4.0], ids=["while it formats", "while it waits"])
def test_a_killed_up_is_followed_by_one_that_works(fresh: Path, seconds: float) -> None:
    with _start_up(fresh) as killed:
        time.sleep(seconds)
        killed.kill()
    copy = stack.start(fresh)
    assert stack.status(fresh).is_up
    assert not _is_refused(_admin_settings(copy))


def test_an_interrupted_up_stops_what_it_started(fresh: Path) -> None:
    with _start_up(fresh) as interrupted:
        while not (fresh / "broker" / "pid").exists() and interrupted.poll() is None:
            time.sleep(0.05)
        interrupted.send_signal(signal.SIGINT)
        output, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130, output
    assert "stopped again" in output
    assert set(_pids(fresh).values()) == {None}


def test_two_ups_at_once_start_one_copy(fresh: Path) -> None:
    with _start_up(fresh) as first, _start_up(fresh) as second:
        outputs = [one.communicate(timeout=120)[0] for one in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sum("already running" in output for output in outputs) == 1


def test_a_broker_that_cannot_start_is_a_sentence_and_nothing_stays(fresh: Path) -> None:
    stack.start(fresh)
    stack.stop(fresh, patience=0)
    (fresh / "broker" / "data" / "meta.properties").write_text("version=1\nnode.id=7\n", encoding="utf-8")
    with pytest.raises(LocalError, match=r"the broker ended while it started: .*broker\.log"):
        stack.start(fresh)
    assert set(_pids(fresh).values()) == {None}


def test_a_damaged_artefact_is_fetched_again(tmp_path: Path) -> None:
    pinned = artefacts.pinned()
    cache.provide(cache.cache_folder(), pinned, Silence())
    shutil.copytree(cache.cache_folder(), tmp_path / "cache", copy_function=os.link)
    (jar,) = (tmp_path / "cache" / "artefacts").glob("*/argparse4j-*.jar")
    whole = jar.read_bytes()
    jar.unlink()
    jar.write_bytes(whole[:-1])
    cache.provide(tmp_path / "cache", pinned, Silence())
    assert jar.read_bytes() == whole


def test_down_stops_and_may_be_repeated(copy: stack.Endpoints, folder: Path) -> None:
    assert copy.clients.is_dir()
    assert _command("down", "--state", folder).stdout == "stopped broker and registry\n"
    again = _command("down", "--state", folder)
    assert (again.exit_code, again.stdout) == (0, f"nothing runs in {folder}\n")
    assert _command("status", "--state", folder).exit_code == 1


def test_down_may_delete(copy: stack.Endpoints, folder: Path) -> None:
    assert copy.clients.is_dir()
    assert _command("down", "--delete", "--state", folder).exit_code == 0
    assert not folder.exists()
    assert "there is no copy" in _command("down", "--delete", "--state", folder).stdout


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_each_command_explains_itself_with_examples(command: str) -> None:
    assert f"sluice local {command}" in _command(command, "--help").stdout

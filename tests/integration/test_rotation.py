"""A user's password is replaced without a moment in which none lets in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer

from sluice import rotation, topics
from sluice.errors import SluiceError
from sluice.installation import plan
from sluice.kafka import inventory
from sluice.kafka import provisioning as broker_side
from sluice.kafka.admin import answers
from sluice.kafka.clients import ClientConfig, admin_client
from sluice.user_files import ConnectionFiles
from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker


@pytest.fixture
def one_password(installation: Installation) -> Iterator[Installation]:
    """Whatever a test leaves, the next finds each user with the password of its file alone."""
    yield installation
    files = ConnectionFiles(installation.settings.clients)
    files.next_path(HOSHI).unlink(missing_ok=True)
    files.path(HOSHI).unlink()
    known = inventory.users(installation.admin)[HOSHI]
    broker_side.remove_passwords(installation.admin, [(HOSHI, name) for name in known])
    installation.apply()


def lets_in(client: ClientConfig) -> bool:
    return answers(admin_client(client), 5)


def reader(client: ClientConfig) -> Consumer:
    consumer = Consumer({**client, "group.id": topics.partner_group(HOSHI, "long"), "auto.offset.reset": "earliest"})
    consumer.subscribe([topics.customers(HOSHI)])
    return consumer


def test_both_let_in_until_the_former_is_removed(one_password: Installation) -> None:
    """Who is connected reads on through all of it, without noticing."""
    installation = one_password
    former = installation.settings.client(HOSHI)
    connected = reader(former)
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: connected.poll(0.5), "the first record")
        told = installation.run("apply", "--rotate", HOSHI)
        assert told.returncode == 0, told.stderr
        assert "hoshi-card.properties has another password" in told.stdout
        latter = installation.settings.client(HOSHI)
        assert (former["sasl.mechanism"], latter["sasl.mechanism"]) == ("SCRAM-SHA-512", "SCRAM-SHA-256")
        assert lets_in(former)
        assert lets_in(latter)
        assert installation.run("plan").stdout.count(f"- password/{HOSHI}/SCRAM-SHA-512") == 1
        again = installation.run("apply", "--rotate", HOSHI)
        assert again.returncode == 1
        assert "still has its former password" in again.stderr
        done = installation.run("apply", "--yes", "--destroy", f"password/{HOSHI}/SCRAM-SHA-512")
        assert done.returncode == 0, done.stderr
        assert not lets_in(former)
        assert lets_in(latter)
        installation.update("crm:1", given_name="Later")
        eventually(lambda: connected.poll(0.5), "who was connected reads on")
    connected.close()
    assert installation.run("apply", "--rotate", HOSHI).returncode == 0, "and back to the first mechanism"
    assert installation.settings.client(HOSHI)["sasl.mechanism"] == "SCRAM-SHA-512"
    assert lets_in(installation.settings.client(HOSHI))


@pytest.mark.parametrize("step", ["set_passwords", "answers"])
def test_a_rotation_that_was_interrupted_is_finished_by_the_next(
    one_password: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    former = one_password.settings.client(HOSHI)
    place = broker_side if step == "set_passwords" else rotation
    with monkeypatch.context() as patched:
        patched.setattr(place, step, _interrupted)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(one_password.settings, HOSHI)
    assert one_password.settings.client(HOSHI) == former
    assert lets_in(former)
    rotation.rotate(one_password.settings, HOSHI)
    assert one_password.settings.client(HOSHI)["sasl.mechanism"] == "SCRAM-SHA-256"
    assert lets_in(one_password.settings.client(HOSHI))
    assert lets_in(former)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_listener_that_takes_one_mechanism_alone_changes_nothing(
    one_password: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = one_password.settings.client(HOSHI)
    monkeypatch.setattr(rotation, "answers", lambda *_: False)
    with pytest.raises(SluiceError, match=r"does not let hoshi-card in by SCRAM-SHA-256: allow it"):
        rotation.rotate(one_password.settings, HOSHI)
    assert one_password.settings.client(HOSHI) == former
    assert inventory.users(one_password.admin)[HOSHI] == {"SCRAM-SHA-512"}
    assert not any(
        HOSHI in one.address and "password" in one.address for one in plan(one_password.settings).plan.left_over
    )


@pytest.mark.parametrize(("user", "sentence"), [("admin", "who gives passwords"), ("nobody", "knows no user nobody")])
def test_whose_password_is_not_rotated(one_password: Installation, user: str, sentence: str) -> None:
    refused = one_password.run("apply", "--rotate", user)
    assert refused.returncode == 1
    assert sentence in refused.stderr

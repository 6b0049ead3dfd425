"""Plan and apply on the real broker: whatever differs is found by the next plan and mended by the next apply."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas import catalogue
from sluice import topics
from sluice.installation import apply, plan
from sluice.kafka import inventory, quotas
from sluice.kafka import provisioning as broker_side
from sluice.kafka.clients import admin_client
from sluice.planning import Plan, Removal, Step
from sluice.provisioning import Operation, Resource, Right
from sluice.recording import newest_set
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, Installation, eventually

pytestmark = pytest.mark.broker

_TOPIC = topics.customers(HOSHI)
_SUBJECT = topics.subject(_TOPIC)
_READ = Right(HOSHI, Operation.READ, Resource.TOPIC, _TOPIC)


@pytest.fixture
def tidy(installation: Installation) -> Installation:
    """Nothing is left over of earlier tests, and everything is as the contracts ask."""
    with_rate(installation, "2 MB/s")
    installation.remove_left_over()
    assert planned(installation).is_empty
    return installation


def planned(installation: Installation) -> Plan:
    return plan(installation.settings).plan


def addresses(found: tuple[Step | Removal, ...]) -> list[str]:
    return [one.address for one in found]


def with_rate(installation: Installation, rate: str) -> None:
    installation.edit(HOSHI, "limits: {", f"limits: {{rate: {rate}, ")


def add_contract(installation: Installation, partner: str) -> None:
    text = (installation.contracts_folder / "adresso.yaml").read_text(encoding="utf-8")
    path = installation.contracts_folder / f"{partner}.yaml"
    path.write_text(text.replace("partner: adresso", f"partner: {partner}"), encoding="utf-8")


def test_when_nothing_differs_plan_says_so_and_apply_does_nothing(tidy: Installation) -> None:
    seen = tidy.run("plan")
    assert (seen.returncode, seen.stdout) == (0, "Nothing to do.\n")
    before = tidy.read(topics.CONTRACT_SETS)
    again = tidy.run("apply", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["done"] == []
    assert tidy.read(topics.CONTRACT_SETS) == before


def _no_right(tidy: Installation) -> None:
    broker_side.revoke(tidy.admin, [_READ])


def _no_setting(tidy: Installation) -> None:
    broker_side.change_settings(tidy.admin, [(_TOPIC, "compression.type", None)])


def _other_setting(tidy: Installation) -> None:
    broker_side.change_settings(tidy.admin, [(_TOPIC, "cleanup.policy", "compact,delete")])


def _no_schema(tidy: Installation) -> None:
    tidy.registry.delete(_SUBJECT)


def _no_compatibility(tidy: Installation) -> None:
    tidy.registry.set_compatibility(_SUBJECT, "NONE")


def _no_quota(tidy: Installation) -> None:
    quotas.set_rates(tidy.settings.client("admin"), {HOSHI: None})


def _no_password(tidy: Installation) -> None:
    broker_side.remove_passwords(tidy.admin, [(HOSHI, "SCRAM-SHA-512")])


def _edited(tidy: Installation) -> None:
    path = tidy.contracts_folder / "hoshi-card.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  email: keep\n", ""), encoding="utf-8")


DRIFT: dict[str, tuple[Callable[[Installation], None], str]] = {
    "right": (_no_right, f"+ right/{HOSHI}/READ/TOPIC/{_TOPIC}"),
    "setting": (_no_setting, f"~ setting/{_TOPIC}/compression.type"),
    "changed setting": (_other_setting, f"~ setting/{_TOPIC}/cleanup.policy"),
    "schema": (_no_schema, f"+ schema/{_SUBJECT}"),
    "compatibility": (_no_compatibility, f"~ compatibility/{_SUBJECT}"),
    "quota": (_no_quota, f"~ quota/{HOSHI}"),
    "password": (_no_password, f"+ user/{HOSHI}"),
}


@pytest.mark.parametrize("what", DRIFT)
def test_what_was_taken_away_by_hand_is_found_and_mended(tidy: Installation, what: str) -> None:
    take_away, line = DRIFT[what]
    take_away(tidy)
    eventually(lambda: not planned(tidy).is_empty, "it is gone")
    seen = tidy.run("plan")
    assert seen.returncode == 2, "something to do"
    assert next(text for text in seen.stdout.splitlines() if text.startswith("  ")).startswith(f"  {line}")
    assert "\x1b" not in seen.stdout, "no colours where no terminal is"
    done = tidy.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert planned(tidy).is_empty


def test_what_was_added_by_hand_stays_until_it_is_named(tidy: Installation) -> None:
    extra = Right(HOSHI, Operation.READ, Resource.TOPIC, topics.CONSENT_EVENTS)
    broker_side.grant(tidy.admin, [extra])
    broker_side.change_settings(tidy.admin, [(_TOPIC, "retention.ms", "1000")])
    quotas.set_rates(tidy.settings.client("admin"), {ADRESSO: 5})
    named = {
        f"right/{HOSHI}/READ/TOPIC/{topics.CONSENT_EVENTS}",
        f"setting/{_TOPIC}/retention.ms",
        f"quota/{ADRESSO}",
    }
    eventually(lambda: {*addresses(planned(tidy).left_over)} == named, "all three are named")
    assert tidy.run("apply", "--yes").returncode == 0
    assert {*addresses(planned(tidy).left_over)} == named, "and stay"
    done = tidy.run("apply", "--yes", *(word for address in sorted(named) for word in ("--destroy", address)))
    assert done.returncode == 0, done.stderr
    eventually(lambda: planned(tidy).is_empty, "all three are gone, and nothing else")


def test_a_right_of_somebody_unknown_is_told_and_left_to_people(tidy: Installation) -> None:
    strange = Right("stranger", Operation.READ, Resource.TOPIC, "partner.", prefixed=True)
    broker_side.grant(tidy.admin, [strange])
    try:
        eventually(lambda: planned(tidy).findings, "it is told")
        refused = tidy.run("apply", "--yes", "--destroy", "right/stranger/READ/TOPIC/partner.*")
        assert refused.returncode == 1
        assert "Nothing that is left over has the address" in refused.stderr
        assert strange in inventory.rights(tidy.admin)
    finally:
        broker_side.revoke(tidy.admin, [strange])


def test_a_new_contract_reaches_its_partner_within_ten_seconds(tidy: Installation) -> None:
    """From the file to the first record that the partner reads with its own credentials, by one command."""
    with tidy.processor():
        tidy.update("crm:1")
        eventually(lambda: tidy.has(ADRESSO, "crm:1"), "shared with who asks nobody")
        add_contract(tidy, "newcomer")
        began = time.monotonic()
        done = tidy.run("apply", "--yes")
        assert done.returncode == 0, done.stderr
        applied = time.monotonic() - began
        eventually(lambda: tidy.holds("newcomer"), "the first record", 20)  # type: ignore[arg-type]
        took = time.monotonic() - began
        print(f"applied after {applied:.1f} s, read after {took:.1f} s")  # noqa: T201 - a figure for docs/onboarding.md
        assert took < 10


@pytest.mark.parametrize("kinds", [1, 2, 3, 4, 5])
def test_an_apply_that_failed_half_way_is_finished_by_the_next(tidy: Installation, kinds: int) -> None:
    """After each kind of step in turn."""
    add_contract(tidy, "half-way")
    path = tidy.contracts_folder / "half-way.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("limits: {", "limits: {rate: 3 MB/s, "), encoding="utf-8")
    begun: set[type] = set()
    before = newest_set(tidy.settings.client("admin"))

    def stop(step: Step | Removal) -> None:
        begun.add(type(step))
        if len(begun) == kinds:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(tidy.settings, stop)
    assert newest_set(tidy.settings.client("admin")) == before, "the set comes last"
    assert tidy.run("plan").returncode == 2
    done = tidy.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert planned(tidy).is_empty
    _take_out(tidy, "half-way")


@pytest.mark.parametrize("told", [0, 1, 17, 33, 41])
def test_an_apply_that_was_killed_is_finished_by_the_next(tidy: Installation, told: int) -> None:
    """While it is at work on the step after those that it told of."""
    partners = [f"killed-{number}" for number in range(8)]
    for partner in partners:
        add_contract(tidy, partner)
    process = _begun(tidy)
    _read_done(process, told)
    time.sleep(0.03)
    process.kill()
    process.communicate()
    done = tidy.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert planned(tidy).is_empty
    for partner in partners:
        assert admin_client(tidy.settings.client(partner)).list_topics(timeout=5), "its file lets in"
        (tidy.contracts_folder / f"{partner}.yaml").unlink()
    apply(tidy.settings, lambda _: None)
    apply(tidy.settings, lambda _: None, destroy=[f"partner/{partner}" for partner in partners])


def _begun(tidy: Installation) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "sluice", "apply", "--yes", "--settings", str(tidy.settings_path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _read_done(process: subprocess.Popen[str], count: int) -> None:
    """Until that many steps were told to be done: they come after the plan's closing line."""
    assert process.stdout
    for line in process.stdout:
        if " to make, " in line:
            break
    for _ in range(count):
        assert process.stdout.readline().startswith("  ")


def _take_out(tidy: Installation, partner: str) -> None:
    (tidy.contracts_folder / f"{partner}.yaml").unlink()
    tidy.apply()
    apply(tidy.settings, lambda _: None, destroy=[f"partner/{partner}"])


def test_two_at_once_do_no_harm(tidy: Installation) -> None:
    for number in range(4):
        add_contract(tidy, f"twice-{number}")
    both = [_begun(tidy) for _ in range(2)]
    for process in both:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
    assert planned(tidy).is_empty
    for number in range(4):
        assert admin_client(tidy.settings.client(f"twice-{number}")).list_topics(timeout=5), (
            "one password, and it works"
        )
    for number in range(4):
        _take_out(tidy, f"twice-{number}")


def test_a_schema_registered_by_two_at_once_is_no_conflict(tidy: Installation) -> None:
    """Apicurio answers the second of two who set a subject's first level with a conflict."""
    schema = catalogue.text("partner_return")
    with ThreadPoolExecutor(4) as registrars:
        for number in range(20):
            subject = f"raced-{number}-value"
            done = [registrars.submit(tidy.registry.register, subject, schema, "BACKWARD") for _ in range(4)]
            assert len({one.result() for one in done}) == 1
            assert tidy.registry.compatibility(subject) == "BACKWARD"
            tidy.registry.delete(subject)


def test_ctrl_c_stops_between_steps_and_says_so(tidy: Installation) -> None:
    for number in range(6):
        add_contract(tidy, f"stopped-{number}")
    process = _begun(tidy)
    _read_done(process, 1)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint.strip()) == (130, "Interrupted.")
    assert tidy.run("apply", "--yes").returncode == 0
    assert planned(tidy).is_empty
    for number in range(6):
        _take_out(tidy, f"stopped-{number}")


def test_a_saved_plan_is_applied_only_while_what_it_saw_is_true(tidy: Installation, tmp_path: Path) -> None:
    _edited(tidy)
    file = tmp_path / "plan.json"
    assert tidy.run("plan", "--out", str(file)).returncode == 2
    _no_quota(tidy)
    eventually(lambda: f"quota/{HOSHI}" in addresses(planned(tidy).steps), "the quota is gone")
    stale = tidy.run("apply", str(file), "--yes")
    assert stale.returncode == 1
    assert f"What the plan in {file} saw has changed since" in stale.stderr
    assert {"contract-set", f"quota/{HOSHI}"} <= {*addresses(planned(tidy).steps)}, "nothing was done"
    assert tidy.run("plan", "--out", str(file)).returncode == 2
    assert tidy.run("apply", str(file), "--yes").returncode == 0
    assert planned(tidy).is_empty


def test_nothing_is_done_when_nobody_can_be_asked(tidy: Installation) -> None:
    _no_quota(tidy)
    eventually(lambda: not planned(tidy).is_empty, "something to do")
    refused = tidy.run("apply")
    assert refused.returncode == 1
    assert refused.stderr == "There is nobody to ask: say --yes to do this.\n"
    assert addresses(planned(tidy).steps) == [f"quota/{HOSHI}"]


def test_a_change_that_would_break_a_partner_is_refused_before_anything_is_changed(tidy: Installation) -> None:
    """A year is a number, and a date that is kept is a date: who reads the one cannot read the other."""
    path = tidy.contracts_folder / "hoshi-card.yaml"
    good = path.read_text(encoding="utf-8")
    add_contract(tidy, "bystander")
    path.write_text(good.replace("birth_date: birth_year", "birth_date: keep"), encoding="utf-8")
    before = newest_set(tidy.settings.client("admin"))
    seen = tidy.run("plan")
    assert seen.returncode == 2
    assert "the field `birth_date` changes from" in seen.stdout
    refused = tidy.run("apply", "--yes")
    assert refused.returncode == 1
    assert "would break who reads it" in refused.stderr
    assert "docs/contracts.md" in refused.stderr
    assert newest_set(tidy.settings.client("admin")) == before
    assert topics.customers("bystander") not in tidy.admin.list_topics(timeout=10).topics  # type: ignore[arg-type]
    path.write_text(good, encoding="utf-8")
    (tidy.contracts_folder / "bystander.yaml").unlink()
    assert planned(tidy).is_empty


def test_narrowing_is_never_refused_nor_is_the_way_back(tidy: Installation) -> None:
    path = tidy.contracts_folder / "hoshi-card.yaml"
    good = path.read_text(encoding="utf-8")
    fields = ("  given_name: keep\n", "  email: keep\n", "  loyalty.tier: keep\n", "  address.country: keep\n")
    texts = [good.replace(field, "") for field in fields] + [good]
    for text in texts:
        path.write_text(text, encoding="utf-8")
        found = planned(tidy)
        assert not found.stopping()
        apply(tidy.settings, lambda _: None)
        assert planned(tidy).is_empty


def test_a_partner_record_carries_docs_and_categories(tidy: Installation) -> None:
    _, text = tidy.registry.latest(_SUBJECT)
    fields: list[dict[str, Any]] = json.loads(text)["fields"]
    assert tidy.registry.compatibility(_SUBJECT) == "FULL_TRANSITIVE"
    assert all(one["type"][0] == "null" and one["default"] is None for one in fields)
    assert all(one["data_category"] and "doc" in one for one in fields)


def test_who_is_no_administrator_is_told_so(tidy: Installation, tmp_path: Path) -> None:
    """Where the library would say nothing, or end the process."""
    clients = tmp_path / "clients"
    shutil.copytree(tidy.settings.clients, clients)
    shutil.copy(clients / "sharing.properties", clients / "admin.properties")
    text = tidy.settings_path.read_text(encoding="utf-8").replace(str(tidy.settings.clients), str(clients))
    tidy.settings_path.write_text(text, encoding="utf-8")
    refused = tidy.run("plan")
    assert refused.returncode == 1
    assert "is no administrator of the broker" in refused.stderr


def test_counts_say_whom_it_would_reach(tidy: Installation) -> None:
    with tidy.processor():
        for customer in ("crm:1", "crm:2", "crm:3"):
            tidy.say(customer, HOSHI, "GIVEN")
            tidy.update(customer, email="a@example.com")
        eventually(lambda: len(tidy.holds(HOSHI)) == 3, "shared")
        _edited(tidy)
        (tidy.contracts_folder / "listmart.yaml").unlink()
        (tidy.contracts_folder / "adresso.yaml").unlink()
        seen = tidy.run("plan", "--counts", "--json")
        assert seen.returncode == 2, seen.stderr
        counts = json.loads(seen.stdout)["counts"]
        assert counts[HOSHI] | {"narrowed": 3, "fields_lost": {"email": 3}, "recalled": 0} == counts[HOSHI]
        assert counts[ADRESSO]["recalled"] == 3
        assert (counts[HOSHI]["holds"], counts[ADRESSO]["holds"], counts[LISTMART]["holds"]) == (3, 3, 0)
        assert counts[LISTMART]["recalled"] == 0
        for_people = tidy.run("plan", "--counts").stdout
        assert "narrowed" in for_people
        assert "it holds 3, by the disclosures" in for_people
        assert len(tidy.holds(HOSHI)) == 3, "nothing was done"


def test_a_partner_is_removed_only_when_nothing_is_held_and_evidence_stays(tidy: Installation) -> None:
    with tidy.processor() as processor:
        for customer in ("crm:1", "crm:2"):
            tidy.say(customer, HOSHI, "GIVEN")
            tidy.update(customer)
        eventually(lambda: len(tidy.holds(HOSHI)) == 2, "shared")
        refused = tidy.run("apply", "--yes", "--destroy", f"partner/{HOSHI}")
        assert "has a contract: take it out" in refused.stderr
    (tidy.contracts_folder / "hoshi-card.yaml").unlink()
    tidy.apply()
    assert f"! partner/{HOSHI}" in tidy.run("plan").stdout
    refused = tidy.run("apply", "--yes", "--destroy", f"partner/{HOSHI}")
    assert refused.returncode == 1
    assert "hoshi-card still holds 2 customers" in refused.stderr
    with tidy.processor() as processor:
        eventually(lambda: tidy.disclosed().get("crm:2", {}).get(HOSHI) is None, "recalled")  # type: ignore[call-overload]
        eventually(lambda: tidy.holds(HOSHI) == {}, "all of it")
        evidence = tidy.read(topics.DISCLOSURES)
        done = tidy.run("apply", "--yes", "--destroy", f"partner/{HOSHI}")
        assert done.returncode == 0, done.stderr
        eventually(lambda: planned(tidy).is_empty, "nothing is left of it")
        assert not [name for name in tidy.admin.list_topics(timeout=10).topics if HOSHI in name]
        assert not [name for name in tidy.registry.subjects() if HOSHI in name]
        assert not [right for right in inventory.rights(tidy.admin) if HOSHI in (right.user, *right.name.split("."))]
        assert HOSHI not in inventory.users(tidy.admin)
        assert tidy.read(topics.DISCLOSURES) == evidence
        tidy.update("crm:3")
        eventually(lambda: tidy.has(ADRESSO, "crm:3"), "others go on")
        assert processor.process.poll() is None

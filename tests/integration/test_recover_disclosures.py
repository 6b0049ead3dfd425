"""The evidence of what partners hold is lost, and found out anew from what stands in their topics."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice import topics
from sluice.kafka import provisioning as broker_side
from sluice.kafka.publishing import write_records
from sluice.log import Record
from sluice.partitioning import partition_of
from sluice.provisioning import Topic
from sluice.settings import load_settings
from stream_processors.lost_disclosures import recovering
from tests.integration.installation import HOSHI, PARTITIONS, PARTNERS, Installation, eventually
from tests.integration.proof import assert_verified
from tests.integration.test_recovery import Load, assert_exact

pytestmark = pytest.mark.broker

ORPHAN = b"nobody-can-be-called-so"


def recovered(installation: Installation, *arguments: str) -> list[dict[str, Any]]:
    done = installation.run("recover-disclosures", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def plant_an_orphan(installation: Installation) -> None:
    """A record of somebody who is known no more."""
    (some, *_) = [r for r in installation.read(topics.customers(HOSHI)) if r.value is not None]
    orphan = Record(topics.customers(HOSHI), 0, 0, ORPHAN, some.value, 0)
    write_records(installation.settings.client("admin"), [(orphan, partition_of(ORPHAN, PARTITIONS))])


def assert_whole(installation: Installation) -> None:
    assert_exact(installation)
    assert_verified(installation)


def test_lost_disclosures_are_found_out_from_the_partner_topics(installation: Installation) -> None:
    load = Load(installation, seed=11)
    processor = installation.start_processor()
    load.send(600)
    assert_exact(installation)
    held = {partner: len(installation.holds(partner)) for partner in PARTNERS}
    refused = installation.run("recover-disclosures", "--yes")
    assert refused.returncode == 1
    assert "are running" in refused.stderr
    processor.stop()
    assert recovered(installation) == [], "nothing is lost"

    plant_an_orphan(installation)
    installation.delete_records(topics.DISCLOSURES)
    load.send(100)  # and meanwhile customers change, withdraw and go
    installation.start_processor(wait=False).ends_with("sluice recover-disclosures")

    ends = {partner: len(installation.read(topics.customers(partner))) for partner in PARTNERS}
    shown = recovered(installation)
    assert not any(line["written"] for line in shown)
    assert ends == {partner: len(installation.read(topics.customers(partner))) for partner in PARTNERS}
    installation.start_processor(wait=False).ends_with("sluice recover-disclosures")

    done = recovered(installation, "--yes")
    assert [{**line, "written": True} for line in shown] == done
    assert len(done) == PARTITIONS
    assert {p: sum(line["held"].get(p, 0) for line in done) for p in PARTNERS} == held
    assert [line["orphans"] for line in done if line["orphans"]] == [{HOSHI: 1}]
    assert installation.holds(HOSHI).get(ORPHAN.decode()) is None
    assert [(m["customer"], m["type"]) for m in installation.control(HOSHI)][-1] == (ORPHAN.decode(), "WITHDRAW")
    assert recovered(installation, "--yes") == [], "and is whole again"

    with installation.processor() as processor:
        eventually(lambda: processor.said("store_rebuilt"), "a store from before is not to be trusted")
        assert_whole(installation)
        load.send(200)
        assert_whole(installation)
    with installation.processor() as processor:
        assert_whole(installation)
        assert processor.said("store_rebuilt") is None, "the evidence goes on as ever"


def test_a_recovery_that_is_interrupted_begins_anew(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, of which only the last commits: until then a processor refuses, and the next run finds all again."""
    from click.testing import CliRunner  # noqa: PLC0415 - only here

    from stream_processors.lost_disclosures.command import recover_disclosures  # noqa: PLC0415

    load = Load(installation, seed=12)
    with installation.processor():
        load.send(500)
        assert_exact(installation)
    installation.delete_records(topics.DISCLOSURES)
    monkeypatch.setattr(recovering, "PIECE", 7)
    written = recovering.Recoverer._write
    pieces = iter(range(4))

    def dies(self: recovering.Recoverer, *what: Any) -> Any:  # noqa: ANN401
        if next(pieces, None) is None:
            raise KeyboardInterrupt
        return written(self, *what)

    with monkeypatch.context() as dying:
        dying.setattr(recovering.Recoverer, "_write", dies)
        arguments = ["--yes", "--settings", str(installation.settings_path)]
        assert CliRunner().invoke(recover_disclosures, arguments).exit_code != 0
    assert len(installation.read(topics.DISCLOSURES)) >= 7, "some pieces were written"
    installation.start_processor(wait=False).ends_with("sluice recover-disclosures")
    again = CliRunner().invoke(recover_disclosures, arguments)
    assert again.exit_code == 0, again.output
    assert "Start the processors" in again.output
    with installation.processor():
        assert_whole(installation)


def test_a_re_created_log_of_disclosures_is_told(installation: Installation) -> None:
    """It is another topic; under another group, with the sets recorded anew, the partner topics say what is held."""
    load = Load(installation, seed=13)
    with installation.processor():
        load.send(300)
        assert_exact(installation)
    held = {partner: len(installation.holds(partner)) for partner in PARTNERS}
    delete_topics(installation, topics.DISCLOSURES)
    gone = installation.run("apply", "--yes")
    assert gone.returncode == 1
    assert f"The topic {topics.DISCLOSURES} is gone" in gone.stderr
    broker_side.create_topics(installation.admin, [Topic(topics.DISCLOSURES, {})], PARTITIONS)
    told = installation.run("apply", "--yes")
    assert told.returncode == 1
    assert f"The topic {topics.DISCLOSURES} was re-created" in told.stderr
    told = installation.run("recover-disclosures", "--yes")
    assert told.returncode == 1
    assert f"The topic {topics.DISCLOSURES} was re-created" in told.stderr
    delete_topics(installation, topics.DISCLOSURES, topics.CONTRACT_SETS)
    installation.write_settings(group=f"second-{installation.folder.name}")
    applied = installation.run("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    done = recovered(installation, "--yes")
    assert {p: sum(line["held"].get(p, 0) for line in done) for p in PARTNERS} == held
    installation.settings = load_settings(installation.settings_path)
    with installation.processor():
        assert_whole(installation)


def delete_topics(installation: Installation, *names: str) -> None:
    for future in installation.admin.delete_topics(list(names)).values():
        future.result()
    eventually(lambda: not {*names} & {*installation.admin.list_topics(timeout=10).topics}, "deleted")

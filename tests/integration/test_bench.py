"""The benchmarks run, in small. What they measure counts on a quiet machine; that they measure counts everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_PATIENCE_SECONDS = 300


def report(folder: Path, program: str, name: str, *options: str) -> Any:  # noqa: ANN401 - JSON
    command = [sys.executable, "-m", f"tests.bench.compare{program}", "--folder", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    told = json.loads((folder / name).read_text(encoding="utf-8"))
    assert {"machine", "versions", "form", "command"} <= told.keys()
    assert f"tests.bench.compare{program} --folder" in told["command"]
    return told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Short: sockets and Java's files lie below it."""
    return tmp_path


def test_everybody_at_hand_is_compared(folder: Path) -> None:
    small = ("--customers", "500", "--updates", "40000", "--rounds", "1", "--only", "sluice", "limit")
    told = report(folder, "", "latest.json", *small)
    assert set(told["events_per_second"]) == {"sluice", "limit"}
    assert all(speed > 0 for speeds in told["events_per_second"].values() for speed in speeds)
    assert all(memory > 0 for some in told["memory_mb"].values() for memory in some)


def test_dimensions_are_measured(folder: Path) -> None:
    small = ("contracts", "--values", "10", "--customers", "300", "--updates", "40000")
    told = report(folder, ".dimensions", "dimensions.json", *small)
    assert [one["value"] for one in told["dimensions"]["contracts"]] == [10]


def test_latencies_are_measured(folder: Path) -> None:
    small = ("--customers", "400", "--rates", "50", "--seconds", "2", "--warm-up", "1")
    told = report(folder, ".latency", "latency.json", *small)["milliseconds"]
    for name in ("sluice", "bare loop"):
        assert 0 < told[name]["50"]["p50"] <= told[name]["50"]["p99"] <= told[name]["50"]["max"]

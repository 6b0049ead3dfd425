"""A real Prometheus, which scrapes what tests start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice.local import ports
from tests.integration.installation import eventually

SCRAPED_EVERY_SECONDS = 1


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query's answer. Raises urllib's HTTPError for a query that is none."""
        answer = self._get("/api/v1/query", query=expr)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Each alert whose expression holds: `labels`, `activeAt` (since when), `state` (`pending`, `firing`)."""
        found: list[dict[str, Any]] = self._get("/api/v1/alerts")["data"]["alerts"]
        return found

    def firing(self) -> list[dict[str, str]]:
        """The labels of each alert that fires."""
        return [one["labels"] for one in self.alerts() if one["state"] == "firing"]

    def is_ready(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200)  # noqa: S310 - our own server
        except OSError:
            return False

    def _get(self, path: str, **arguments: str) -> dict[str, Any]:
        url = f"{self.url}{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            told: dict[str, Any] = json.load(answer)
        return told


def program(name: str) -> str:
    """Where `make alerts` has put it, or the machine has it; skips the test otherwise."""
    fetched = Path("build/prometheus/usr/bin") / name
    found = str(fetched.absolute()) if fetched.exists() else shutil.which(name)
    if found is None:
        assert not os.environ.get("REQUIRE_PROMETHEUS"), f"{name} is required, and not there"
        pytest.skip(f"no {name}: `make alerts` fetches it")
    return found


@contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, Sequence[str]],
    rules: Path = Path("deploy/prometheus/sluice.yaml"),
    every_seconds: int = SCRAPED_EVERY_SECONDS,
) -> Iterator[Prometheus]:
    """Scrapes the targets (`host:port`) of each job, and judges the rules as often."""
    (port,) = ports.choose(1)
    jobs = [{"job_name": job, "static_configs": [{"targets": list(those)}]} for job, those in targets.items()]
    settings = {
        "global": dict.fromkeys(("scrape_interval", "evaluation_interval"), f"{every_seconds}s"),
        "rule_files": [str(rules.absolute())],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yaml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={ports.LOOPBACK}:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            server = Prometheus(f"http://{ports.LOOPBACK}:{port}")
            eventually(server.is_ready, "Prometheus is ready")
            yield server
        finally:
            running.terminate()

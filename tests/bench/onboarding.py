"""How long plan and apply take for many partners, on a broker and a registry of this machine.

And from one contract more to its first record: beside a running processor, read by the consumer of the partner's kit.

python -m tests.bench.onboarding --partners 100
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from sluice.demo import processes
from sluice.installation import apply, plan
from sluice.local import stack
from sluice.settings import Settings, load_settings

_PATTERN = Path("deploy/demo/contracts/hoshi-card.yaml")
_ASKS_NOBODY = Path("deploy/demo/contracts/adresso.yaml")
"""A contract under which everybody is shared, whatever they have said."""


@click.command()
@click.option("--partners", default=100, show_default=True)
@click.option("--folder", default="build/bench/onboarding", show_default=True, type=click.Path(path_type=Path))
def measure(partners: int, folder: Path) -> None:
    """Seconds, as JSON lines: of nothing, of everything, of one contract more, of a partner's first record."""
    folder = folder.absolute()
    local = folder / "local"
    stack.delete(local)
    shutil.rmtree(folder, ignore_errors=True)
    endpoints = stack.start(local)
    try:
        settings = _settings(folder, endpoints.clients)
        for number in range(partners):
            _add(settings, f"p{number:03d}")
        _tell("plan, nothing there", lambda: plan(settings))
        _tell(f"apply, {partners} partners", lambda: apply(settings, lambda _: None))
        for _ in range(3):
            _tell("plan, nothing to do", lambda: plan(settings))
        _tell("apply, nothing to do", lambda: apply(settings, lambda _: None))
        _add(settings, "newcomer")
        _tell("plan, one contract more", lambda: plan(settings))
        _tell("apply, one contract more", lambda: apply(settings, lambda _: None))
        _first_record(settings, folder)
    finally:
        stack.stop(local)


def _first_record(settings: Settings, folder: Path) -> None:
    """With all those partners, and 200 customers that are known already."""
    written = folder / "sluice.yaml"
    processes.sluice("simulate-crm", "--customers", "200", "--rate", "200", "--events", "400", settings=written)
    with processes.processor(written, folder / "sharing.log"):
        text = _ASKS_NOBODY.read_text(encoding="utf-8").replace("partner: adresso", "partner: latecomer")
        (settings.contracts / "latecomer.yaml").write_text(text, encoding="utf-8")
        _tell("one contract more, to its first record", lambda: _onboard(written))


def _onboard(settings: Path) -> None:
    """One command, and the consumer that it has made."""
    apply_it = [sys.executable, "-m", "sluice", "apply", "--yes", "--kit", "latecomer", "--settings", str(settings)]
    subprocess.run(apply_it, cwd=settings.parent, stdout=subprocess.DEVNULL, check=True)
    kit = settings.parent / "latecomer-kit"
    with subprocess.Popen([sys.executable, "consumer.py", "latecomer.properties"], cwd=kit) as consumer:
        while not _has_records(kit / "customers.db"):
            time.sleep(0.02)
        consumer.terminate()


def _has_records(table: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{table}?mode=ro", uri=True) as connection:
            return bool(connection.execute("SELECT count(*) FROM customers").fetchone()[0])
    except sqlite3.OperationalError:
        return False  # not made yet


def _settings(folder: Path, clients: Path) -> Settings:
    (folder / "contracts").mkdir(parents=True)
    path = folder / "sluice.yaml"
    written = {
        "clients": str(clients),
        "contracts": "contracts",
        "master_key": "master.key",
        "sharing": {"state": "state"},
    }
    path.write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML
    return load_settings(path)


def _add(settings: Settings, partner: str) -> None:
    text = _PATTERN.read_text(encoding="utf-8").replace("partner: hoshi-card", f"partner: {partner}")
    limited = text.replace("limits: {", "limits: {rate: 2 MB/s, ")
    (settings.contracts / f"{partner}.yaml").write_text(limited, encoding="utf-8")


def _tell(what: str, work: Callable[[], object]) -> None:
    began, used = time.monotonic(), time.process_time()
    work()
    took = {"seconds": round(time.monotonic() - began, 2), "of_processor": round(time.process_time() - used, 2)}
    click.echo(json.dumps({"what": what, **took}))


if __name__ == "__main__":
    measure()

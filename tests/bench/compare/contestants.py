"""Who is measured: programs that work off the updates, started and watched from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice import topics
from tests.bench.compare.field import GROUP, Field, Watch, events_per_second

FOLDER = Path("build/bench")
_HERE = Path(__file__).parent
_PATIENCE_SECONDS = 30.0
_KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that works off the updates, for as long as it is let."""

    name: str
    group: str
    command: Sequence[str]
    """With {settings}, {told} and {group}."""
    before: Sequence[str] = ()
    """Loads the consents, where the program would otherwise not wait for them."""
    share: float = 1.0
    """Of the updates: who is slow is measured on fewer."""


@dataclass(frozen=True, slots=True)
class Run:
    events_per_second: float
    memory_mb: float
    """The most that the process had."""


OURS = Contestant(
    "sluice",
    GROUP,
    (sys.executable, "-m", "sluice", "run", "sharing", "--metrics-port", "0", "--settings", "{settings}"),
)
TWO_WORKERS = Contestant("sluice, two workers", GROUP, (*OURS.command, "--workers", "2"))
LIMIT = Contestant("limit", "bench.limit", (sys.executable, "-m", "tests.bench.compare.limit", "{settings}", "{group}"))
_THEIRS = str(FOLDER / "venv/bin/python")
_FAUST = (_THEIRS, str(_HERE / "with_faust.py"), "{told}", "{group}")
QUIX = Contestant("quix streams", "bench.quix", (_THEIRS, str(_HERE / "with_quix.py"), "{told}", "{group}"), share=0.5)
FAUST = Contestant("faust", "bench.faust", _FAUST, before=(*_FAUST, "consents"), share=0.1)
CONTESTANTS = (OURS, LIMIT, QUIX, FAUST)
"""Ours first: the limit writes what it wrote."""


def run(one: Contestant, there: Field) -> Run:
    if one.before:
        _until(one, one.before, there, topics.CONSENT_EVENTS, there.consents)
    return _until(one, one.command, there, topics.CUSTOMER_UPDATES, int(there.updates * one.share))


def _until(one: Contestant, command: Sequence[str], there: Field, topic: str, count: int) -> Run:
    """A program, until its group has come so far in a topic."""
    watch = Watch(there.settings, one.group, topic)
    with started(one, command, there) as process:
        seen = watch.until(count, lambda: process.poll() is None)
        memory = _most_memory_mb(process.pid)
    return Run(events_per_second(seen), memory)


@contextmanager
def started(one: Contestant, command: Sequence[str], there: Field) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the contestant's; asked to end with the context, and what it said is told if that failed."""
    whole = [part.format(settings=there.settings_path, told=there.told, group=one.group) for part in command]
    log = there.folder / f"{one.name.replace(' ', '-')}.log"
    with log.open("ab") as file, subprocess.Popen(whole, stdout=file, stderr=file) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{one.name} {error}: {log.read_text()[-2_000:]}") from None
        finally:
            process.kill()


def _most_memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * _KIBIBYTE / 1e6


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of the command line

"""Who is measured: programs that work off the updates, started and watched from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sluice import topics
from sluice.form import form
from tests.bench.compare.field import GROUP, Field, Reached, Watch, events_per_second
from tests.chaos.machine import machine

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
    """Works off the consents, before there are updates; empty: the program knows nothing of consents."""
    share: float = 1.0
    """Of the updates: who is slow is measured on fewer."""


@dataclass(frozen=True, slots=True)
class Run:
    events_per_second: float
    memory_mb: float
    """The most that the process had."""


_SHARING = (sys.executable, "-m", "sluice", "run", "sharing", "--metrics-port", "0", "--settings", "{settings}")
OURS = Contestant("sluice", GROUP, _SHARING, before=_SHARING)
TWO_WORKERS = Contestant("sluice, two workers", GROUP, (*_SHARING, "--workers", "2"), before=_SHARING)
LIMIT = Contestant("limit", "bench.limit", (sys.executable, "-m", "tests.bench.compare.limit", "{settings}", "{group}"))
_THEIRS = str(FOLDER / "venv/bin/python")
_FAUST = (_THEIRS, str(_HERE / "with_faust.py"), "{told}", "{group}")
_QUIX = (_THEIRS, str(_HERE / "with_quix.py"), "{told}", "{group}")
QUIX = Contestant("quix streams", "bench.quix", _QUIX, before=_QUIX, share=0.5)
FAUST = Contestant("faust", "bench.faust", _FAUST, before=(*_FAUST, "consents"), share=0.1)
CONTESTANTS = (OURS, LIMIT, QUIX, FAUST)
"""Ours first: the limit writes what it wrote."""


def prepare(one: Contestant, there: Field) -> None:
    """Before there are updates: whoever works for a while knows the consents."""
    if one.before:
        _until(one, one.before, there, topics.CONSENT_EVENTS, there.consents)


def run(one: Contestant, there: Field) -> Run:
    seen, memory = _until(one, one.command, there, topics.CUSTOMER_UPDATES, int(there.updates * one.share))
    return Run(events_per_second(seen), memory)


def _until(
    one: Contestant, command: Sequence[str], there: Field, topic: str, count: int
) -> tuple[list[Reached], float]:
    """A program, until its group has come so far in a topic; with the most memory that it had."""
    watch = Watch(there.settings, one.group, topic)
    with started(one, command, there) as process:
        return watch.until(count, lambda: process.poll() is None), _most_memory_mb(process.pid)


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


def _program() -> str:
    spec = sys.modules["__main__"].__spec__
    return "?" if spec is None else spec.name.removesuffix(".__main__")


def circumstances() -> dict[str, object]:
    """What has to be known of a measurement, beside what was measured."""
    return {
        "machine": machine(),
        "versions": {name: version(name) for name in ("sluice", "confluent-kafka", "fastavro", "rocksdict")},
        "form": form(),
        "command": " ".join(["python", "-m", _program(), *sys.argv[1:]]),
    }


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of the command line

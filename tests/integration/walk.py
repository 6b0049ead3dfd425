"""A document that is walked through: its commands as they stand, in order, and what it shows of their output.

A block of ``bash`` is what somebody types, the block of ``text`` below it is what they see. Comments in HTML say what
the prose says to people: ``in the second terminal``, ``Ctrl-C in the second and third terminal``, ``ends with 2``,
``until it shows``, for what is asked again until it is there. ``Open <URL>`` is a page instead of commands.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

_PARTS = re.compile(
    r"^<!-- (?P<comment>.*?) -->$"
    r"|^```(?P<kind>\w*)\n(?P<block>.*?)^```$"
    r"|^Open <(?P<page>[^>]+)>"
    r"|^#+ (?P<heading>[^\n]+)$",
    re.MULTILINE | re.DOTALL,
)
_ANYTHING = "…"
_SECONDS = 120.0


@dataclass(slots=True)
class Step:
    name: str
    """The heading that it stands under, and its line."""
    commands: str = ""
    page: str = ""
    shown: str | None = None
    """None: the document does not say."""
    terminal: str = ""
    status: int = 0
    is_repeated: bool = False
    interrupted: tuple[str, ...] = ()


def steps(text: str) -> Iterator[Step]:
    """In the order of the document. Raises ValueError for what nobody understands."""
    heading, begun, said = "", None, Step("")
    for part in _PARTS.finditer(text):
        if part["heading"]:
            heading = part["heading"]
            continue
        name = f"{heading}, line {text.count(chr(10), 0, part.start()) + 1}"
        if part["kind"] == "text":
            if begun is None or begun.shown is not None:
                raise ValueError(f"{name}: nothing was run that shows this")
            begun.shown = part["block"]
            continue
        if part["comment"]:
            _take(part["comment"], said, name)
            if not said.interrupted:
                continue
        elif part["kind"] not in {"bash", None}:
            raise ValueError(f"{name}: a block is either bash or text")
        if begun:
            yield begun
        begun, said = replace(said, name=name, commands=part["block"] or "", page=part["page"] or ""), Step("")
    if begun:
        yield begun


def _take(comment: str, step: Step, name: str) -> None:
    if found := re.fullmatch(r"in the (\w+) terminal", comment):
        step.terminal = found[1]
    elif found := re.fullmatch(r"Ctrl-C in the (\w+)(?: and (\w+))? terminal", comment):
        step.interrupted = tuple(filter(None, found.groups()))
    elif found := re.fullmatch(r"ends with (\d+)", comment):
        step.status = int(found[1])
    elif comment == "until it shows":
        step.is_repeated = True
    else:
        raise ValueError(f"{name}: nobody understands {comment!r}")


def missing(shown: str, printed: str) -> list[str]:
    """Shown lines that were not printed, and, unless a line of dots leaves them out, printed ones that are not shown.

    Each shown line takes one that was printed, in any order, for partners' topics are not in step; white space is one
    blank.
    """
    left = [" ".join(line.split()) for line in printed.splitlines() if line.strip()]
    told = [" ".join(line.split()) for line in shown.splitlines() if line.strip()]
    absent = []
    for line in (one for one in told if one != _ANYTHING):
        pattern = ".*".join(map(re.escape, line.split(_ANYTHING)))
        match = next((one for one in left if re.fullmatch(pattern, one)), None)
        if match is None:
            absent.append(line)
        else:
            left.remove(match)
    return absent if _ANYTHING in told else absent + [f"not shown: {line}" for line in left]


class Walk:
    """Somebody who follows it, with as many terminals as it takes."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch
        self._number = 0
        self._terminals: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._shell = _bash(folder, scratch / "shell", "-s")

    def take(self, step: Step) -> None:
        """Raises AssertionError where anything is not as the document says."""
        if step.interrupted:
            for name in step.interrupted:
                self._interrupt(name, step)
        elif step.terminal:
            self._begin(step)
        elif step.page:
            self._compare(step, lambda: _page(step.page), repeated=True)
        else:
            self._compare(step, lambda: self._run(step))

    def end(self) -> None:
        """Whatever still runs."""
        for process in (self._shell, *(one for one, _ in self._terminals.values())):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin:
                process.stdin.close()

    def _run(self, step: Step) -> str:
        """In the first terminal, whose folder and variables stay; a command that fails ends the block."""
        self._number += 1
        script, output, status = (self._scratch / f"{self._number}.{end}" for end in ("sh", "out", "status"))
        script.write_text(step.commands, encoding="utf-8")
        stops = "set +e" if step.status else "set -e"  # the shell itself ends: who fails says no status
        assert self._shell.stdin
        typed = f"{stops}; . {script} > {output} 2>&1 < /dev/null; echo $? > {status}.new; mv {status}.new {status}"
        self._shell.stdin.write(f"{typed}\n".encode())
        self._shell.stdin.flush()
        deadline = time.monotonic() + _SECONDS
        while not status.exists() and self._shell.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        printed = output.read_text(encoding="utf-8") if output.exists() else ""
        assert status.exists(), f"{step.name}: failed, or did not end\n{step.commands}\n{printed}"
        assert int(status.read_text(encoding="utf-8")) == step.status, f"{step.name}\n{printed}"
        return printed

    def _begin(self, step: Step) -> None:
        log = self._scratch / f"{step.terminal}.log"
        process = _bash(self._folder, log, "-ec", step.commands)
        self._terminals[step.terminal] = process, log
        self._compare(step, lambda: log.read_text(encoding="utf-8"), repeated=True)
        assert process.poll() is None, log.read_text(encoding="utf-8")

    def _interrupt(self, name: str, step: Step) -> None:
        process, log = self._terminals[name]
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(_SECONDS) == 0, f"{step.name}: {log.read_text(encoding='utf-8')}"

    def _compare(self, step: Step, look: Callable[[], str], *, repeated: bool = False) -> None:
        deadline = time.monotonic() + _SECONDS
        while True:
            printed = look()
            absent = missing(step.shown, printed) if step.shown is not None else []
            if not absent:
                return
            if not (repeated or step.is_repeated) or time.monotonic() > deadline:
                raise AssertionError("\n".join([step.name, "not printed:", *absent, "but:", printed]))
            time.sleep(0.2)


def _bash(folder: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A terminal of its own: Ctrl-C there is heard there, also where whoever runs the tests has it ignored."""
    with log.open("wb") as output:
        return subprocess.Popen(
            ["env", "--default-signal=INT", "bash", *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _page(url: str) -> str:
    """What somebody reads there, or why nothing is there yet."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own server
            return unescape(re.sub(r"<[^>]*>", " ", answer.read().decode()))
    except OSError as error:
        return str(error)

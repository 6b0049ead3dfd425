"""`sluice publish … --watch`: each file that is dropped into a folder is published, and moved away with a report.

A file is moved only after every row of it had its outcome, so one whose publication ended early is published again from
its beginning: at least once, whatever happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from producers import drop_folder
from producers.drop_folder import DONE, REFUSED, Drop, Settling
from producers.file_publication import FileFault
from producers.publication import Ending, Summary
from sluice.document import DocumentError
from sluice.errors import SluiceError

SCAN_SECONDS = 1.0
AGAIN_SECONDS = 5.0

Publish: TypeAlias = Callable[[Drop], tuple[Summary, Ending]]
"""Raises FileFault or DocumentError for what is the file's fault, SluiceError or OSError for what is not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file that was read to its end, or cannot be."""

    summary: Summary | None
    problem: str | None
    """Why nothing of the file was published, if so."""

    @property
    def place(self) -> str:
        return DONE if self.summary is not None and self.summary.is_complete else REFUSED


class Watcher:
    """Publishes what is complete in the folder, one file at a time, oldest first."""

    def __init__(
        self,
        folder: Path,
        publish: Publish,
        settling: Settling,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = folder
        self._publish = publish
        self._settling = settling
        self._print = say
        self._pause = pause
        self._said = ""

    def run(self) -> None:
        """Until KeyboardInterrupt, which ends it between two rows."""
        self._say(f"Watching {self._folder}; Ctrl-C ends it.")
        try:
            while True:
                self._turn()
        except KeyboardInterrupt:
            self._say_what_is_left()

    def _turn(self) -> None:
        complete = self._settling.complete(self._seen(), time.monotonic())
        if not complete:
            self._pause(SCAN_SECONDS)
        elif not self._take(complete[0]):
            self._pause(AGAIN_SECONDS)

    def _seen(self) -> list[Drop]:
        try:
            return drop_folder.scan(self._folder)
        except OSError as error:
            self._say(f"{self._folder} cannot be read, which is tried again: {error.strerror}.")
            return []

    def _take(self, drop: Drop) -> bool:
        """Whether there is anything to go on with; if not, the file is taken again later."""
        try:
            outcome = self._outcome(drop)
        except (SluiceError, OSError) as error:
            sentence = f"{error.strerror}." if isinstance(error, OSError) else str(error)
            self._say(f"{drop.name} waits: {sentence}")
            return False
        if drop_folder.seen(drop.path) != drop:
            self._say(f"{drop.name} was changed or taken away while it was read; if it is there, it is read again.")
            return True
        self._file_away(drop, outcome)
        return True

    def _outcome(self, drop: Drop) -> Outcome:
        """Raises SluiceError and OSError for what is not the file's fault."""
        try:
            summary, ending = self._publish(drop)
        except (FileFault, DocumentError) as fault:
            return Outcome(None, str(fault))
        if ending is Ending.INTERRUPTED:
            raise KeyboardInterrupt
        if ending is Ending.TROUBLE or summary.unconfirmed:
            why = summary.stopped or "not every row was answered for"
            raise SluiceError(f"{why}; it is published again from its beginning.")
        return Outcome(summary, None)

    def _file_away(self, drop: Drop, outcome: Outcome) -> None:
        """Tried until there is room and the right to, for the file is published already."""
        while True:
            try:
                target = drop_folder.file_away(drop, outcome.place, _report(drop, outcome))
            except FileNotFoundError:
                self._say(f"{drop.name} was published, and taken away before it could be moved.")
                return
            except OSError as error:
                self._say(f"{drop.name} was published and cannot be moved to {outcome.place}: {error.strerror}.")
                self._pause(AGAIN_SECONDS)
            else:
                why = f": {outcome.problem}" if outcome.problem else "."
                self._say(f"{drop.name} is now {target.relative_to(self._folder)}{why}")
                return

    def _say(self, sentence: str) -> None:
        """What was said last is not said again: one wait, one sentence."""
        if sentence != self._said:
            self._print(sentence)
        self._said = sentence

    def _say_what_is_left(self) -> None:
        left = sorted(drop.name for drop in self._seen())
        names = ", ".join(left[:3]) + (", …" if len(left) > 3 else "")
        self._say(f"Ended. Left in {self._folder}: {len(left):,}, {names}." if left else "Ended. Nothing is left.")


def _report(drop: Drop, outcome: Outcome) -> dict[str, object]:
    return {
        "file": drop.name,
        "bytes": drop.size,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "problem": outcome.problem,
        "summary": None if outcome.summary is None else outcome.summary.as_json(),
    }

"""A long run on a real broker in which everything goes wrong, again and again: `make soak-broker`, docs/reliability.md.

Three supervised processors share a group while a CRM that is not always right sends its events as fast as they are
worked off. Faults come in an order that the seed decides, spread over the events; at intervals, and at the end,
everything comes to rest and the partner topics are verified. Ends with 0 only when nothing differs and every target
was reached. Ctrl-C and SIGTERM end it early, with the report.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluice.errors import SluiceError
from sluice.local import stack
from tests.chaos import recalls
from tests.chaos.contract_changes import ContractChanges
from tests.chaos.crm import LONGEST_GRANT_MS, Crm
from tests.chaos.faults import Counted, Fault, Scene
from tests.chaos.field import PROXIED, Field
from tests.chaos.machine import machine
from tests.chaos.proxied_stack import ProxiedStack
from tests.chaos.recalls import RecallAccount
from tests.chaos.soak_plan import MAKING_UP, Options, Tally, deck, options
from tests.chaos.verdict import Verdict, verdict
from tests.integration.installation import now_ms

FOLDER = Path("build/soak")
_PROGRESS_SECONDS = 10.0
_QUIET_SECONDS = 600.0
_ATTEMPTS = 3
_PIECE = 250
_SENDING_PAUSE_SECONDS = 0.1
_BREATH_SECONDS = 1.0
"""Between two faults, at the least."""


class Soak:
    """One run, on a broker of its own that begins empty."""

    def __init__(self, chosen: Options) -> None:
        self._options = chosen
        self._began_ms, self._began = now_ms(), time.monotonic()
        self._stopping = threading.Event()
        self._resting = threading.Event()
        self._at_rest = threading.Event()
        self._backlog = 0
        self._verdicts: list[Verdict] = []
        self._faults: Counter[str] = Counter()
        self._account: RecallAccount | None = None
        self._failure: str | None = None
        self._stack, self._field = _fresh(chosen)
        self._crm = Crm(self._field.installation, chosen.seed, chosen.customers)
        chance = random.Random(chosen.seed)
        self._deck = deck(chosen.targets, chance)
        contracts = ContractChanges(self._field.installation, chance)
        self._scene = Scene(self._field, contracts, chance, Counted())

    def interrupt(self, *_: object) -> None:
        self._fail("interrupted")

    def run(self) -> int:
        """The status to exit with."""
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._send, self._tell)]
        self._field.start()
        for thread in threads:
            thread.start()
        self._guarded(self._disturb)
        self._stopping.set()
        for thread in threads:
            thread.join()
        self._field.close()
        self._stack.close()
        return self._report()

    def _disturb(self) -> None:
        """Every fault when its turn comes, and a verification at intervals and in the end."""
        targets, rests = self._options.targets, self._options.verifications
        remaining = list(self._deck)
        for number, fault in enumerate(remaining, 1):
            self._await_events(targets.events * number // (len(remaining) + 1))
            self._do(fault)
            if number * rests // len(remaining) > (number - 1) * rests // len(remaining) and number < len(remaining):
                self._verify()
        self._await_events(targets.events)
        while not self._stopping.is_set() and (missing := self._tally.short_of(targets)):
            self._do(MAKING_UP[next(iter(missing))])
        self._verify()
        if self._rest():
            self._account = recalls.account(self._field.installation)

    def _await_events(self, count: int) -> None:
        """The CRM sends no more than is worked off: when it sends nothing for long, somebody is stuck."""
        seen, moved_at = -1, time.monotonic()
        while not self._stopping.wait(_SENDING_PAUSE_SECONDS) and self._crm.acknowledged < count:
            if self._crm.acknowledged != seen:
                seen, moved_at = self._crm.acknowledged, time.monotonic()
            elif time.monotonic() - moved_at > _QUIET_SECONDS:
                self._fail(f"nothing worked off for {_QUIET_SECONDS:.0f} s: {self._field.group.standing()}")

    def _do(self, fault: Fault) -> None:
        if self._stopping.is_set():
            return
        try:
            what = fault(self._scene)
        except SluiceError as error:  # the broker is not back yet, say
            what = f"not possible: {error}"
        self._faults[fault.__name__] += 1
        self._note(fault=fault.__name__, what=what)
        self._stopping.wait(_BREATH_SECONDS)

    def _verify(self) -> None:
        """Everything comes to rest, and what partners hold is compared with what they should."""
        began = time.monotonic()
        if self._rest():
            quiet = time.monotonic() - began
            found = self._verdict()
            self._verdicts.append(found)
            self._note(verified=asdict(found), quiet_after_seconds=round(quiet, 1))
        self._resting.clear()

    def _verdict(self) -> Verdict:
        """What cannot be proved now may be provable a moment later."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return verdict(self._field.installation)
            except SluiceError as error:
                self._note(not_verified=str(error))
        return verdict(self._field.installation)

    def _rest(self) -> bool:
        """Nothing comes in, everything is worked off, and the grants that were given for seconds have ended."""
        if self._stopping.is_set():
            return False
        self._field.heal()
        self._resting.set()
        self._at_rest.wait(_QUIET_SECONDS)
        self._stopping.wait(LONGEST_GRANT_MS / 1000)
        quiet = self._field.group.is_quiet_within(_QUIET_SECONDS, self._stopping)
        if not quiet and not self._stopping.is_set():
            self._fail(f"not at rest after {_QUIET_SECONDS:.0f} s: {self._field.group.standing()}")
        return quiet

    def _send(self) -> None:
        self._crm.introduce()
        sent = 0
        while not self._stopping.is_set():
            if self._resting.is_set():
                if self._crm.settle(_QUIET_SECONDS):
                    self._at_rest.set()
                self._stopping.wait(_SENDING_PAUSE_SECONDS)
                continue
            self._at_rest.clear()
            if sent % (4 * _PIECE) == 0:
                standing = self._field.group.standing()
                self._backlog = standing.backlog if standing else self._backlog
            if self._backlog > self._options.most_waiting:
                self._stopping.wait(_SENDING_PAUSE_SECONDS)
            else:
                self._crm.send(_PIECE)
                sent += _PIECE
        self._crm.settle(_QUIET_SECONDS)

    def _tell(self) -> None:
        while not self._stopping.wait(_PROGRESS_SECONDS):
            self._note(**self._numbers())

    def _numbers(self) -> dict[str, Any]:
        tally = self._tally
        seconds = time.monotonic() - self._began
        return {
            **tally.as_dict(),
            "waiting": self._backlog,
            "events_per_second": round(tally.events / seconds),
            "differences": sum(one.differences for one in self._verdicts),
            "troubles": len(self._field.observed.troubles),
        }

    @property
    def _tally(self) -> Tally:
        return Tally.of(self._field.observed, self._scene.counted, self._crm.acknowledged)

    def _note(self, **what: object) -> None:
        line = json.dumps({"seconds": round(time.monotonic() - self._began, 1), **what})
        print(line, flush=True)  # noqa: T201 - a program of the command line
        with (FOLDER / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._stopping.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        """A thread that fails ends the run; nothing is ever lost in a thread."""
        try:
            work()
        except Exception:  # noqa: BLE001 - told in the report, and the run has failed
            self._fail(traceback.format_exc())

    def _report(self) -> int:
        observed, targets = self._field.observed, self._options.targets
        missing = self._tally.short_of(targets)
        verified = self._account is not None and bool(self._verdicts)
        exact = verified and all(one.is_exact for one in self._verdicts)
        whole = self._account is not None and self._account.is_whole
        passed = exact and whole and not (missing or observed.troubles or self._failure)
        report = {
            "passed": passed,
            "failure": self._failure,
            "began_at_ms": self._began_ms,
            "duration_seconds": round(time.monotonic() - self._began),
            "seed": self._options.seed,
            "machine": machine(),
            "options": asdict(self._options),
            "reached": self._tally.as_dict(),
            "missing": missing,
            "differences": sum(one.differences for one in self._verdicts),
            "held_without_a_reason": sum(one.unjustified for one in self._verdicts),
            "left_open": sum(one.left_open for one in self._verdicts),
            "verifications": [asdict(one) for one in self._verdicts],
            "recalls": self._account.as_dict() if self._account else None,
            "faults": dict(self._faults),
            "done_to_others": asdict(self._scene.counted),
            "events_failed": self._crm.failed,
            "logged": dict(observed.events),
            "sentences": dict(observed.sentences),
            "troubles": observed.troubles,
        }
        (FOLDER / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(report, indent=2))  # noqa: T201 - the same
        return 0 if passed else 1


def _fresh(chosen: Options) -> tuple[ProxiedStack, Field]:
    """A new broker and a new installation in place of those of the last run."""
    local, folder = (FOLDER / "local").absolute(), (FOLDER / "installation").absolute()
    stack.delete(local)
    shutil.rmtree(FOLDER, ignore_errors=True)
    folder.mkdir(parents=True)
    proxied = ProxiedStack(local, (PROXIED,))
    endpoints = proxied.start()
    try:
        return proxied, Field(
            proxied, endpoints, folder, session_timeout_ms=chosen.session_timeout_ms, batch=chosen.batch
        )
    except BaseException:
        proxied.close()
        raise


def main() -> None:
    chosen = options(__doc__ or "")
    soak = Soak(chosen)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, soak.interrupt)
    sys.exit(soak.run())


if __name__ == "__main__":
    main()

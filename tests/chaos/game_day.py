"""A game day: faults that wake somebody, one after the other in an order nobody knows, for an operator to tell apart.

All there is to look at is the page of each process, Prometheus with the deployed rules, and docs/alerts.md. What each
fault was is said when all are over.
"""

from __future__ import annotations

import argparse
import random
import select
import sys
import time
from pathlib import Path

from tests.chaos.drill import Drill
from tests.chaos.drill_faults import FAULTS, Fault, NotDone
from tests.chaos.drilled import Drilled, begin_as_a_program, under_load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    alerting = [fault for fault in FAULTS if fault.alert is not None]
    parser.add_argument("--faults", type=int, choices=range(1, len(alerting) + 1), default=5, help="how many [5]")
    parser.add_argument("--rate", type=float, default=10.0, help="events a second [10]")
    parser.add_argument("--folder", type=Path, default=Path("build/game-day"), help="[build/game-day]")
    given = parser.parse_args()
    begin_as_a_program()
    chosen = random.SystemRandom().sample(alerting, given.faults)
    _say("An installation is started; that takes two minutes.")
    with under_load(given.folder, given.rate) as drilled:
        for name, address in drilled.addresses.items():
            _say(f"{name}: http://{address}/{'' if name.startswith('sharing') else 'metrics'}")
        told = []
        try:
            for number, fault in enumerate(chosen, 1):
                told.append(f"{number}: {_told_apart(drilled, fault, f'Fault {number} of {len(chosen)}')}")
                _say("It is mended; wait for the next.")
        finally:
            _say(*told)


def _told_apart(drilled: Drilled, fault: Fault, name: str) -> str:
    """What it was, and what somebody took it for."""
    with drilled.watched() as server:
        if Drill(drilled, server).until_calm() is None:
            _say("Something fires already: look at that first, it is none of the faults.")
        _say(f"Prometheus: {server.url}/alerts")
        try:
            with fault.lasting(drilled):
                done_at = time.monotonic()
                _say(f"{name} is on. What is it? Write a line.")
                said = _answer(drilled)
                seconds = time.monotonic() - done_at
        except NotDone as error:
            return f"{fault.name} could not be done: {error}"
    return f"{fault.name} ({fault.alert}); after {seconds:.0f} s you said: {said}"


def _answer(drilled: Drilled) -> str:
    """A line of standard input."""
    while not select.select([sys.stdin], [], [], 0)[0]:
        drilled.look()
    return sys.stdin.readline().strip() or "nothing"


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - a program of the command line


if __name__ == "__main__":
    main()

"""Whether the simulation notices the faults of bugs.py, and how soon: `python -m tests.simulation.catching [NAME]`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.run import STEPS
from tests.simulation.world import World

FIRST = 7_000
SEEDS = 1_500
"""How many a fault may take: the rarest show in one seed of two hundred, whichever seeds are tried."""


def catch(bug: Bug, seeds: int = SEEDS) -> tuple[int, str] | None:
    """How many seeds it took, and what noticed it; None: nothing did."""
    for number in range(seeds):
        with bug.put_in():
            noticed = _fails(FIRST + number)
        if noticed is not None and _fails(FIRST + number) is None:
            return number + 1, noticed
    return None


def _fails(seed: int) -> str | None:
    try:
        World(seed).run(STEPS)
    except (AttributeError, NameError, TypeError):  # the fault does not fit what it is put into any more
        raise
    except Exception as error:  # noqa: BLE001 - whatever else stops the simulation has noticed something
        return f"{type(error).__name__}: {str(error)[:100]}"
    return None


def _chosen(names: tuple[str, ...]) -> Iterator[Bug]:
    return (bug for bug in BUGS if not names or bug.name in names)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seeds", default=SEEDS)
def main(names: tuple[str, ...], seeds: int) -> None:
    """Which deliberate faults are noticed, after how many seeds, and by what."""
    for bug in _chosen(names):
        began = time.monotonic()
        found = catch(bug, seeds)
        said = "NOT NOTICED" if found is None else f"{found[0]:4} seeds  {found[1]}"
        click.echo(f"{bug.name:32} {time.monotonic() - began:5.1f} s  {said}")


if __name__ == "__main__":
    main()

"""One interleaving again, or as many as time allows: `python -m tests.simulation.run --seed N --trace`."""

from __future__ import annotations

import time
import traceback
from random import SystemRandom

import click

from tests.simulation.world import World

REPLAY = "python -m tests.simulation.run --seed {seed} --steps {steps} --trace"
STEPS = 700


class Failed(Exception):
    """A seed does not come right; its text says how, and how to see it again."""


def try_seed(seed: int, steps: int = STEPS, shown: int = 60) -> World:
    """Raises Failed, with the last events and the command that replays them."""
    world = World(seed)
    try:
        world.run(steps)
    except Exception as error:
        last = "\n".join(list(world.trace)[-shown:])
        what = "".join(traceback.format_exception(error)[-6:])
        again = REPLAY.format(seed=seed, steps=steps)
        raise Failed(f"{last}\n{what}\nseed {seed} fails after {world.steps} steps; again:\n  {again}") from error
    return world


@click.command()
@click.option("--seed", type=int, help="The first seed; without it, a random one.")
@click.option("--count", type=int, default=1, help="How many seeds.")
@click.option("--seconds", type=float, help="Go on for as long, instead.")
@click.option("--steps", type=int, default=STEPS, help="Scheduler steps before the faults stop.")
@click.option("--trace", is_flag=True, help="Print every event.")
@click.option("--keep-going", is_flag=True, help="After a seed that fails, too.")
def main(seed: int | None, count: int, seconds: float | None, steps: int, *, trace: bool, keep_going: bool) -> None:
    """Try interleavings of the sharing loop with everybody else, and check what has to hold after every step."""
    first = SystemRandom().randrange(1 << 40) if seed is None else seed
    click.echo(f"first seed {first}")
    began, tried, taken, commits, failed = time.monotonic(), 0, 0, 0, []
    said = began
    try:
        while time.monotonic() - began < seconds if seconds else tried < count:
            tried += 1
            try:
                world = try_seed(first + tried - 1, steps, 1_000_000 if trace else 60)
            except Failed as failure:
                failed.append(first + tried - 1)
                click.echo(str(failure))
                if not keep_going:
                    break
                continue
            taken += world.steps
            commits += world.audit.commits
            if trace:
                click.echo("\n".join(world.trace))
            if time.monotonic() - said > 10:
                said = time.monotonic()
                click.echo(f"{tried} seeds, {taken} steps, {tried / (said - began):.1f} seeds/s, failed: {failed}")
    except KeyboardInterrupt:
        click.echo("stopped")
    rate = tried / max(time.monotonic() - began, 1e-9)
    click.echo(
        f"{tried} interleavings, {taken} steps, {commits} commits, {rate:.1f} seeds/s; failed: {failed or 'none'}"
    )
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

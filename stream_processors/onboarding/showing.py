"""A plan for people: what would be made, changed and removed, one line each."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from sluice.planning import Finding, Plan, Removal, Step
from sluice.planning.plan import summary

_STYLES = {"+": "green", "~": "yellow", "-": "red", "!": "bold red"}
_WIDTH = 48


def show(console: Console, plan: Plan, removals: Iterable[Removal] = ()) -> None:
    """`removals`: what of that which is left over goes with it."""
    chosen = tuple(removals)
    for step in (*plan.steps, *chosen):
        _line(console, step.sign, step)
    rest = [one for one in plan.left_over if one not in chosen]
    if rest:
        console.print(
            "\nLeft over: no contract asks for these, and they stay unless you name them with --destroy", soft_wrap=True
        )
        for one in rest:
            _line(console, one.sign, one)
    if plan.findings:
        console.print("\nFor you to see to")
        for finding in plan.findings:
            _line(console, "!", finding)


def closing(plan: Plan, removals: Iterable[Removal] = ()) -> str:
    """Counts of what would be done, in one line."""
    steps: tuple[Step | Removal, ...] = (*plan.steps, *removals)
    if not steps:
        return "Nothing to do." if plan.is_empty else "Nothing to do beside what is named above."
    signs = [step.sign for step in steps]
    counts = f"{signs.count('+')} to make, {signs.count('~')} to change, {signs.count('-')} to remove"
    return f"{counts}: {summary(steps)}."


def _line(console: Console, sign: str, one: Step | Removal | Finding) -> None:
    text = Text(f"  {sign} {one.address:<{_WIDTH}}  {one.says}", style=_STYLES[sign])
    console.print(text, soft_wrap=True)

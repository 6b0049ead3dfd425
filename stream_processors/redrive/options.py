"""The options that `rejected` and `redrive` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import click

from sluice.errors import SluiceError
from sluice.model import Cause, Millis
from stream_processors.redrive.rejections import Selection, place
from stream_processors.review.instant import millis

Option = Callable[[Callable[..., None]], Callable[..., None]]


class Selected(TypedDict):
    """As click hands them over."""

    cause: tuple[str, ...]
    topic: tuple[str, ...]
    partner: tuple[str, ...]
    since: str | None
    pointer: tuple[str, ...]
    settings: Path | None
    as_json: bool


def command_with(*own: Option) -> Option:
    """A decorator: the options of both commands, behind a command's own."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed((*own, *_BOTH)):
            command = option(command)
        return command

    return decorated


_A_CAUSE = click.Choice([cause.value for cause in Cause])
_BOTH: tuple[Option, ...] = (
    click.option("--cause", type=_A_CAUSE, metavar="CAUSE", multiple=True, help="Of this cause."),
    click.option("--topic", multiple=True, help="Of this input topic."),
    click.option("--partner", multiple=True, help="Where it was this partner's record that could not be made."),
    click.option("--since", metavar="TIME", help="Rejected at this time or later, such as 2027-01-01 (UTC)."),
    click.option("--pointer", multiple=True, metavar="PLACE", help="This record: topic/partition@offset."),
    click.option("--settings", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml]."),
    click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line."),
)
"""Each of the first five may be given several times, but for the time: any of the values then."""


def selection(asked: Selected) -> Selection:
    """Raises SluiceError."""
    return Selection(
        causes=frozenset(asked["cause"]),
        topics=frozenset(asked["topic"]),
        partners=frozenset(asked["partner"]),
        since=None if asked["since"] is None else _since(asked["since"]),
        places=frozenset(place(written) for written in asked["pointer"]),
    )


def _since(written: str) -> Millis:
    try:
        return millis(written)
    except SluiceError:
        raise SluiceError("--since is no time such as 2027-01-01 or 2027-01-01T09:00:00+09:00.") from None

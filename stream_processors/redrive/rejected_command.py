"""`sluice rejected`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Unpack

import click
import msgspec

from sluice.registry import Registry
from sluice.settings import load_settings
from stream_processors.redrive import options, rejections
from stream_processors.redrive.advice import advice
from stream_processors.redrive.rejections import Group, Newest, Rejection
from stream_processors.review import progress
from stream_processors.review.instant import written
from stream_processors.sharing.setup import USER


class Asked(options.Selected):
    """The options of `rejected`, as click hands them over."""

    list_pointers: int


@click.command("rejected")
@options.command_with(
    click.option("--list-pointers", type=click.IntRange(0), default=20, show_default=True, help="Newest to list."),
)
def rejected_command(**asked: Unpack[Asked]) -> None:
    """Say which inputs could not be used, why, since when, and what to do about it.

    From the pointers of the last thirty days; they tell where a record stands and nothing of what is in it. Pointers
    stay when their records have been put right: `sluice redrive --dry-run` says which still wait for something.

    \b
    Examples:
      sluice rejected
      sluice rejected --cause schema_unknown --since 2027-01-01
      sluice rejected --json | jq 'select(.kind == "group")'
    """
    settings = load_settings(asked["settings"])
    wanted = options.selection(asked)
    with closing(Registry(settings.registry())) as registry, progress.stages() as bars:
        bars.begin("reading", None)
        all_of_them = rejections.recorded(settings.client(USER), settings.sharing.group, registry.decode, bars.reach_of)
        chosen = (one for one in all_of_them if wanted.holds(one))
        if asked["as_json"]:
            _print_json(chosen)
            return
        newest = Newest(asked["list_pointers"])
        groups = rejections.grouped(newest.remembering(chosen))
    for line in _told(groups, newest.listed()):
        click.echo(line)


def _print_json(chosen: Iterable[Rejection]) -> None:
    """The pointers as they come, then the groups."""

    def printed() -> Iterator[Rejection]:
        for one in chosen:
            _print_line({"kind": "pointer", "pointer": str(one.where), **msgspec.structs.asdict(one)})
            yield one

    for group in rejections.grouped(printed()):
        told = {"cause": group.cause, "topic": group.topic, "partner": group.partner, "count": group.count}
        _print_line({"kind": "group", **told, "first": group.first, "last": group.last, "advice": advice(group.cause)})


def _print_line(one: dict[str, object]) -> None:
    click.echo(msgspec.json.encode(one).decode())


def _told(groups: list[Group], listed: list[Rejection]) -> Iterator[str]:
    if not groups:
        yield "No rejected input is recorded that fits."
        return
    for group in groups:
        of = f" for {group.partner}" if group.partner else ""
        yield f"{group.count:>8}  {group.cause}  {group.topic}{of}  {written(group.first)} to {written(group.last)}"
    yield ""
    for cause in dict.fromkeys(group.cause for group in groups):
        yield f"{cause}: {advice(cause)}"
    if listed:
        yield ""
    for one in listed:
        schema = "" if one.schema_id is None else f"  schema {one.schema_id}"
        yield f"{written(one.detected_at)}  {one.where}  {one.cause}{schema}{'  ' + one.partner if one.partner else ''}"

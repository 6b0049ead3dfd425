"""`sluice recalls`: how partners stand with what they were told to delete; from the logs alone, nothing has to run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from sluice.errors import SluiceError
from sluice.model import Millis, PartnerId
from sluice.registry import Registry
from sluice.settings import load_settings
from stream_processors.returns.book import Book, Recall
from stream_processors.returns.deadlines import Account, accounts
from stream_processors.returns.desk import now_ms
from stream_processors.returns.reading import USER, Reading
from stream_processors.review.instant import written


@click.command("recalls")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--partner", help="Only this partner.")
@click.option("--overdue", is_flag=True, help="Name every recall that is overdue, the oldest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def recalls_command(settings_path: Path | None, partner: str | None, overdue: bool, as_json: bool) -> None:  # noqa: FBT001
    """Say of every recall that was ever sent whether it is acknowledged, open or overdue, by partner.

    \b
    Examples:
      sluice recalls
      sluice recalls --partner hoshi-card --overdue
      sluice recalls --json | jq 'select(.overdue > 0)'
    """
    settings = load_settings(settings_path)
    with (
        closing(Registry(settings.registry())) as registry,
        closing(Reading(settings.client(USER), settings.returns.group, registry.decode)) as reading,
    ):
        reading.catch_up()
    book, now = reading.book, now_ms()
    found = accounts(book, now, settings.returns.warn_after)
    if partner is not None:
        if partner not in found:
            raise SluiceError(f"There never was a partner `{partner}`; there are {', '.join(found) or 'none'}.")
        found = {PartnerId(partner): found[PartnerId(partner)]}
    late = sorted(_overdue(book, found, now), key=book.deadline) if overdue else []
    for line in _json_lines(book, found, late) if as_json else _lines(book, found, late):
        click.echo(line)


def _overdue(book: Book, wanted: dict[PartnerId, Account], now: Millis) -> Iterator[Recall]:
    return (recall for recall in book.open_recalls() if recall.partner in wanted and book.deadline(recall) <= now)


def _json_lines(book: Book, found: dict[PartnerId, Account], late: list[Recall]) -> Iterator[str]:
    for partner, account in found.items():
        counted = {"kind": "partner", "partner": partner, **asdict(account), "open": account.open}
        yield json.dumps({**counted, "paused_since": book.paused.get(partner)})
    for recall in late:
        named = {"decision_id": recall.decision_id, "customer": recall.pseudonym}
        yield json.dumps({"kind": "recall", "partner": recall.partner, **named, "deadline": book.deadline(recall)})


def _lines(book: Book, found: dict[PartnerId, Account], late: list[Recall]) -> Iterator[str]:
    width = max((len(partner) for partner in found), default=0)
    for partner, account in found.items():
        oldest = "" if account.oldest_deadline is None else f", the oldest due {written(account.oldest_deadline)}"
        paused = "; paused" if partner in book.paused else ""
        yield (
            f"{partner:<{width}}  {account.recalls:,} recalls: {account.acknowledged:,} acknowledged, "
            f"{account.open:,} open ({account.due_soon:,} due soon, {account.overdue:,} overdue){oldest}{paused}"
        )
    for recall in late:
        yield f"{written(book.deadline(recall))}  {recall.partner}  {recall.pseudonym}  {recall.decision_id}"

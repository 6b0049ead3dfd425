"""`sluice recover-disclosures`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.outside import OutsideLog, end_open_transactions
from sluice.kafka.transactions import LogSettings
from sluice.keys import load_master_key
from sluice.log import Aborted
from sluice.model import Millis
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from stream_processors.contract_history import recorded_sets
from stream_processors.lost_disclosures.recipients import recipients
from stream_processors.lost_disclosures.recovering import Finding, Recoverer
from stream_processors.review import progress
from stream_processors.review.progress import Stages
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.setup import Workshop

_USER = "admin"
_NAME = "recover-disclosures"


@click.command("recover-disclosures")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--yes", is_flag=True, help="Do it; otherwise it is only said what would be done.")
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: one JSON object for each partition that lost some."
)
def recover_disclosures(settings_path: Path | None, yes: bool, as_json: bool) -> None:  # noqa: FBT001 - flags
    """Write lost evidence of what partners hold anew, from what stands in their topics.

    For when records of sluice.disclosures were deleted or lost, and the processors refuse to start: stop them all. Only
    as the administrator. What stands in a partner's topic and belongs to nobody who is known is recalled. Started
    again, the processors reconcile everybody.

    \b
    Examples:
      sluice recover-disclosures          # says what was lost and what would be written
      sluice recover-disclosures --yes
    """
    settings = load_settings(settings_path)
    with progress.stages() as bars:
        found = list(_recovered(settings, bars, write=yes))
    for finding in found:
        click.echo(_json(finding, written=yes) if as_json else _sentence(finding, written=yes))
    if not as_json:
        click.echo(_end(found, written=yes))


def _recovered(settings: Settings, bars: Stages, *, write: bool) -> Iterator[Finding]:
    client, sharing = settings.client(_USER), settings.sharing
    sets, master = recorded_sets(client, sharing.group), load_master_key(settings.master_key)
    with closing(Registry(settings.registry())) as registry:
        workshop = Workshop(settings, client, registry, master)
        view = workshop.view(sets[-1])
        names = LogSettings(
            group=sharing.group,
            instance=_NAME,
            driving=topics.CUSTOMER_UPDATES,
            joined=topics.CONSENT_EVENTS,
            confirmed=topics.DISCLOSURES,
            smallest_message_limit=workshop.smallest_message_limit(view),
        )
        with closing(OutsideLog(client, names)) as log:
            log.refuse_members()
            if write:
                end_open_transactions(client, sharing.group, {sharing.instance, *sharing.instances})
                log.claim()
            work = Recoverer(log, view, recipients(sets, master), workshop.identity(view), bars.reach)
            for number in range(settings.partitions):
                loss = work.loss(number)
                if loss is None:
                    continue
                bars.begin(f"partition {number}", None)
                if not write:
                    yield work.find(loss)
                    continue
                log.refuse_members()
                try:
                    yield work.recover(loss, Clock().read(Millis(0)).now)
                except Aborted as aborted:
                    raise SluiceError(f"{aborted}. Run it again: it begins anew with partition {number}.") from None


def _json(finding: Finding, *, written: bool) -> str:
    told = {
        "partition": finding.partition,
        "lost": finding.why,
        "customers": finding.customers,
        "held": finding.held,
        "orphans": finding.orphans,
        "no_longer_held": finding.recalled,
        "written": written,
    }
    return msgspec.json.encode(told).decode()


def _sentence(finding: Finding, *, written: bool) -> str:
    held = ", ".join(f"{partner} {count}" for partner, count in sorted(finding.held.items())) or "nobody"
    orphans = ", ".join(f"{partner} {count}" for partner, count in sorted(finding.orphans.items())) or "none"
    will = "recalled" if written else "to be recalled"
    return (
        f"{topics.DISCLOSURES}/{finding.partition}: {finding.why}. Of {finding.customers} customers known, held by "
        f"{held}; records of nobody who is known, {will}: {orphans}."
    )


def _end(found: list[Finding], *, written: bool) -> str:
    if not found:
        return "No evidence is lost: there is nothing to recover."
    if written:
        return "Written. Start the processors: they reconcile everybody."
    return "Nothing was written: add --yes to do it."

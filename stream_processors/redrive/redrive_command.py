"""`sluice redrive`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Unpack

import click
import msgspec

from sluice import topics
from sluice.customer_keys import issued_key
from sluice.errors import SluiceError
from sluice.kafka import admin
from sluice.kafka.clients import admin_client
from sluice.kafka.publishing import write_records
from sluice.kafka.ranges import Ranges
from sluice.kafka.tailing import Tail
from sluice.keys import CustomerKey, MasterKey, NoKey, load_master_key
from sluice.model import CustomerId, Millis
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from stream_processors.contract_history import recorded_sets
from stream_processors.redrive import gathering, options, rejections, telling
from stream_processors.redrive.asking import Asking, Waiting
from stream_processors.redrive.deciding import Judge, State, Verdict
from stream_processors.redrive.rejections import Rejection, Selection
from stream_processors.review import progress
from stream_processors.review.rulebook import MADE_UP_KEY
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.setup import USER, Workshop


class Asked(options.Selected):
    """The options of `redrive`, as click hands them over."""

    dry_run: bool
    rate: int
    wait: float | None


@click.command("redrive")
@options.command_with(
    click.option("--dry-run", is_flag=True, help="Say what would be done, and what each partner would get of it."),
    click.option("--rate", type=click.IntRange(1), default=100, show_default=True, help="Requests in one second."),
    click.option("--wait", type=click.FloatRange(0), metavar="SECONDS", help="Wait for what the processor discloses."),
)
def redrive_command(**asked: Unpack[Asked]) -> None:
    """Have rejected inputs decided again, by today's schemas, contracts and laws.

    Each record is read again where it stands. Where today's rules accept it, the processor is asked to reconcile its
    customer; nothing is ever published again, for that could overwrite what is newer. What would be rejected again is
    not asked for. It may be interrupted and run again at any time.

    \b
    Examples:
      sluice redrive --dry-run
      sluice redrive --cause schema_unknown --since 2027-01-01 --wait 60
      sluice redrive --pointer crm.customer-updates/0@17 --json
    """
    settings = load_settings(asked["settings"])
    with ExitStack() as stack:
        desk = Desk(settings, stack.enter_context(closing(Registry(settings.registry()))))
        verdicts = desk.verdicts(options.selection(asked))
        wanted = [verdict for verdict in verdicts if verdict.state is State.TO_REDRIVE]
        report = Report(as_json=asked["as_json"])
        report.add(verdict for verdict in verdicts if asked["dry_run"] or verdict.state is not State.TO_REDRIVE)
        if wanted and not asked["dry_run"]:
            desk.refuse_when_nobody_listens()
            _carry_out(desk, wanted, report, asked)
        report.end()


def _carry_out(desk: Desk, wanted: list[Verdict], report: Report, asked: Asked) -> None:
    with desk.disclosures() as disclosures:  # opened before anything is asked for
        waiting = Waiting(disclosures, desk.registry.decode, desk.clock)
        done = 0
        try:
            for chunk in desk.asking(asked["rate"]).ask(wanted):
                done += len(chunk)
                waiting.awaits(chunk)
                report.add(replace(verdict, state=State.REDRIVEN) for verdict in chunk)
        except KeyboardInterrupt:
            click.echo(f"{done} of {len(wanted)} were asked for; the next run goes on with the rest.", err=True)
            raise
        if asked["wait"] is None:
            return
        missing = waiting.wait(asked["wait"])
    if missing:
        report.end()
        raise SluiceError(
            f"Of {len(missing)} customers nothing was disclosed within {asked['wait']:g} seconds: see whether the "
            "processors run and what they log, and run `sluice redrive` again."
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """An installation, as whoever redrives sees it."""

    settings: Settings
    registry: Registry
    clock: Clock = field(default_factory=Clock)

    @property
    def client(self) -> dict[str, str]:
        return self.settings.client(USER)

    @property
    def group(self) -> str:
        return self.settings.sharing.group

    def verdicts(self, wanted: Selection) -> list[Verdict]:
        """Of every selected pointer, in the order of their places. Raises SluiceError."""
        with progress.stages() as bars, Ranges(self.client, self.group) as ranges:
            bars.begin("pointers", None)
            chosen = _unique(self._pointers(wanted, bars.reach_of))
            judge = self._judge()
            bars.begin("their customers", None)
            places = [one.where for one in chosen]
            sources = gathering.gather(places, ranges, self.registry.decode, self.settings.partitions, bars.reach)
            return [judge.judge(one, sources[one.where]) for one in chosen]

    def _pointers(self, wanted: Selection, on_records: Callable[[int, int], None]) -> Iterator[Rejection]:
        found = rejections.recorded(self.client, self.group, self.registry.decode, on_records)
        return (one for one in found if wanted.holds(one))

    def _judge(self) -> Judge:
        """By the newest contract set, as the processor carries it out."""
        master = load_master_key(self.settings.master_key)
        view = Workshop(self.settings, self.client, self.registry, master).view(
            recorded_sets(self.client, self.group)[-1]
        )
        return Judge(view, self.clock.read(Millis(0)).now, partial(_key_of, settings=self.settings, master=master))

    def refuse_when_nobody_listens(self) -> None:
        """Raises SluiceError: requests are for who runs now."""
        if not admin.client_ids(admin_client(self.client), self.group):
            raise SluiceError(
                f"No processor of the group {self.group} is running, so nobody would hear what is asked for: start "
                "one (`sluice run sharing`), and run this again."
            )

    def asking(self, rate: int) -> Asking:
        return Asking(partial(write_records, self.client), self.settings.partitions, rate, self.clock)

    def disclosures(self) -> Tail:
        return Tail(self.client, (topics.DISCLOSURES,), self.group, from_beginning=False)


def _unique(found: Iterable[Rejection]) -> list[Rejection]:
    """One for each record and partner, the newest: the same record may have been rejected time and again."""
    newest: dict[tuple[str, int, int, str], Rejection] = {}
    for one in sorted(found, key=lambda one: one.detected_at):
        newest[one.topic, one.partition, one.offset, one.partner or ""] = one
    return [one for _, one in sorted(newest.items())]


def _key_of(customer: CustomerId, *, settings: Settings, master: MasterKey) -> CustomerKey:
    """The customer's own; one that is not issued yet will be there when it is needed."""
    if settings.customer_keys is None:
        return MADE_UP_KEY
    key = issued_key(settings.customer_keys, master, customer)
    return MADE_UP_KEY if key is NoKey.NOT_ISSUED else key


class Report:
    """What was found and done, on standard output as it becomes known."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._states: Counter[State] = Counter()
        self._causes: Counter[str] = Counter()
        self._ended = False

    def add(self, verdicts: Iterable[Verdict] | Sequence[Verdict]) -> None:
        for verdict in verdicts:
            self._states[verdict.state] += 1
            if verdict.state in (State.STILL_REJECTED, State.NEEDS_PRODUCER):
                self._causes[verdict.cause.value if verdict.cause else verdict.rejection.cause] += 1
            click.echo(_json(telling.as_data(verdict)) if self._as_json else telling.as_line(verdict))

    def end(self) -> None:
        """The sums, once."""
        if self._ended:
            return
        self._ended = True
        if self._as_json:
            states = {state.value: count for state, count in self._states.items()}
            click.echo(_json({"kind": "summary", "states": states}))
            return
        for line in telling.summary(self._states, self._causes):
            click.echo(line)


def _json(one: dict[str, object]) -> str:
    return msgspec.json.encode(one).decode()

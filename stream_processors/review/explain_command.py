"""`sluice explain`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, Unpack

import click
import msgspec

from schemas import catalogue
from sluice.customer_keys import issued_key
from sluice.document import nearest
from sluice.errors import SluiceError
from sluice.files.opening import checked_source
from sluice.keys import CustomerKey, MasterKey, NoKey, load_master_key
from sluice.model import CustomerId, Millis, PartnerId
from sluice.settings import Settings, load_settings
from stream_processors.review import one_customer, options, progress
from stream_processors.review.explaining import Asked, explain
from stream_processors.review.explanation import Explanation
from stream_processors.review.instant import millis
from stream_processors.review.one_customer import Found
from stream_processors.review.recorded_files import Files, total_bytes
from stream_processors.review.rulebook import Bench, Rulebook
from stream_processors.review.telling import told

_A_PATH = click.Path(path_type=Path)
_Material = tuple[Bench, Found, CustomerKey]
"""What to judge by, whom, and the customer's own key as far as one is known."""


class Written(TypedDict):
    """The options of `explain`, as click hands them over."""

    customer: str
    partner: str | None
    at: str | None
    values: bool
    as_json: bool
    settings: Path | None
    customers: Path | None
    consents: Path | None
    contracts: Path | None
    law: Path | None
    schema: Path | None
    mapping: Path | None
    source: str | None
    master_key: Path | None


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.argument("customer"),
            click.option("--partner", help="Only at this partner [all]."),
            click.option("--at", metavar="TIME", help="Judge as of this time, such as 2027-01-01 (UTC) [now]."),
            click.option("--values", is_flag=True, help="Tell the customer's values too, before and after transforms."),
            click.option("--json", "as_json", is_flag=True, help="One JSON object a partner and line."),
            click.option("--settings", type=_A_PATH, help="Settings: of the topics, and how laws are applied."),
            click.option("--customers", type=_A_PATH, help="File of customers instead of the topic (.csv, .jsonl)."),
            click.option("--consents", type=_A_PATH, help="File of consent events instead of the topic."),
            click.option("--contracts", type=_A_PATH, help="Folder of contracts [the settings']."),
            click.option("--law", type=_A_PATH, help="Folder of law packs [the settings', or those shipped]."),
            click.option("--schema", type=_A_PATH, help="Avro schema of customers [registered, or our own]."),
            click.option("--mapping", type=_A_PATH, help="Which CSV columns become which fields of customers."),
            click.option("--source", metavar="NAME", help="The CRM's name: `NAME:` is put before each customer id."),
            click.option("--master-key", type=_A_PATH, help="Master key; with files needed for tokens only."),
        )
    ):
        command = option(command)
    return command


@click.command("explain")
@_options
def explain_command(**written: Unpack[Written]) -> None:
    """Say why a partner may hold CUSTOMER or may not: facts, laws, rules with citations, answers, fields.

    From the topics, with what the partner holds now; or from files, without a broker. Never tells a value unless asked
    with --values.

    \b
    Examples:
      sluice explain dell-crm:000123
      sluice explain dell-crm:000123 --partner hoshi-card --at 2027-01-01 --json
      sluice explain crm:1 --customers c.jsonl --consents e.jsonl --contracts contracts --values
    """
    at = millis(written["at"]) if written["at"] is not None else Millis(time.time_ns() // 1_000_000)
    customer = CustomerId(written["customer"])
    bench, (subject, problems), key = _from_files(written, customer, at) or _from_topics(written, customer, at)
    partners = _partners(bench, written["partner"])
    for problem in problems:
        click.echo(str(problem), err=True)
    if subject is None:
        raise SluiceError(f"Nothing is recorded of {customer}: no update and no consent event has this id.")
    for partner in partners:
        asked = Asked(bench.contracts[partner], bench.partnerships[partner], bench.policy, at, written["values"], key)
        _tell(explain(bench.known(subject), asked), as_json=written["as_json"])


def _partners(bench: Bench, wanted: str | None) -> list[PartnerId]:
    if wanted is None:
        return sorted(bench.contracts)
    if wanted not in bench.contracts:
        raise SluiceError(f"There is no contract of {wanted}{nearest(wanted, sorted(bench.contracts))}")
    return [PartnerId(wanted)]


def _tell(explanation: Explanation, *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(explanation).decode() if as_json else told(explanation))


def _from_files(written: Written, customer: CustomerId, at: Millis) -> _Material | None:
    """None: the topics are meant."""
    customers, consents, contracts = written["customers"], written["consents"], written["contracts"]
    if customers is None and consents is None:
        return None
    if customers is None or consents is None or contracts is None:
        raise click.UsageError("Files need all three: --customers, --consents and --contracts.")
    schema = options.schema_in(written["schema"]) or catalogue.text("customer_profile")
    law = options.law_of(None if written["settings"] is None else load_settings(written["settings"]), written["law"])
    master = options.master_key_in(written["master_key"])
    bench = Rulebook(contracts, law, schema, master, at, then=written["at"] is not None).loaded()
    options.refuse_without_key(bench.contracts.values(), written["master_key"])
    files = Files(customers, consents, schema, at, written["mapping"], checked_source(written["source"]))
    with progress.stages() as bars:
        bars.begin("reading", total_bytes(files))
        return bench, one_customer.in_files(files, customer, bars.reach), NoKey.NOT_ISSUED


def _from_topics(written: Written, customer: CustomerId, at: Millis) -> _Material:
    settings = load_settings(written["settings"])
    schema = options.schema_in(written["schema"]) or options.registered_schema(settings)
    law = options.law_of(settings, written["law"])
    acknowledged = frozenset(settings.sharing.acknowledged)
    master = load_master_key(written["master_key"] or settings.master_key)
    bench = Rulebook(
        written["contracts"] or settings.contracts, law, schema, master, at, acknowledged, written["at"] is not None
    ).loaded()
    with progress.stages() as bars:
        bars.begin("reading", None)
        found = one_customer.in_topics(settings, customer, bars.reach_of)
    return bench, found, _key_of(customer, settings, master)


def _key_of(customer: CustomerId, settings: Settings, master: MasterKey) -> CustomerKey:
    """The customer's own key, which asking does not issue. Raises SluiceError."""
    if settings.customer_keys is None:
        return NoKey.NOT_ISSUED
    return issued_key(settings.customer_keys, master, customer)

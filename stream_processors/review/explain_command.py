"""`sluice explain`."""

from __future__ import annotations

import time
from typing import Unpack

import click
import msgspec

from schemas import catalogue
from sluice.customer_keys import issued_key
from sluice.document import nearest
from sluice.errors import SluiceError
from sluice.files.opening import checked_source
from sluice.keys import CustomerKey, MasterKey, NoKey
from sluice.model import CustomerId, Millis, PartnerId
from sluice.settings import Settings, load_settings
from stream_processors.review import one_customer, options, progress
from stream_processors.review.explaining import Asked, explain
from stream_processors.review.explanation import Explanation
from stream_processors.review.instant import millis
from stream_processors.review.one_customer import Found
from stream_processors.review.options import Told
from stream_processors.review.recorded_files import Files, total_bytes
from stream_processors.review.rulebook import Bench, Rulebook
from stream_processors.review.telling import told

_Material = tuple[Bench, Found, CustomerKey]
"""What to judge by, whom, and the customer's own key as far as one is known."""


class Written(Told):
    """The options of `explain`, as click hands them over."""

    customer: str
    partner: str | None
    values: bool


@click.command("explain")
@options.command_with(
    click.argument("customer"),
    click.option("--partner", help="Only at this partner [all]."),
    click.option("--values", is_flag=True, help="Tell the customer's values too, before and after transforms."),
)
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
    master = options.master_key_of(settings, written["master_key"])
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

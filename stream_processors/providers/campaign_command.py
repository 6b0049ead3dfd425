"""`sluice request-campaign`: a provider is asked to send a campaign; to whom is for what it holds to say."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import click

from schemas import catalogue
from sluice import recorded_set, topics
from sluice.avro import Writer
from sluice.contract import Contract
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.kafka.publishing import write_records
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from stream_processors.providers.book import request_id
from stream_processors.providers.desk import now_ms
from stream_processors.providers.setup import USER


@click.command("request-campaign")
@click.argument("partner")
@click.argument("campaign")
@click.option("--segment", help="Only customers of this segment; everybody whom the provider holds unless named.")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
def request_campaign(partner: str, campaign: str, segment: str | None, settings_path: Path | None) -> None:
    """Ask PARTNER to send CAMPAIGN to those of a segment whom it holds when it sends. No customer is named.

    Asked again under the same name it is the same request. Prints it as JSON.

    \b
    Examples:
      sluice request-campaign letterbird spring-2027 --segment frequent
    """
    settings, name = load_settings(settings_path), PartnerId(partner)
    contract = _contract(settings.client(USER), settings, name)
    if contract.campaigns is None:
        raise SluiceError(f"The contract with {partner} has no `campaigns`: it is asked to send nothing.")
    now = now_ms()
    request = {
        "request_id": request_id(name, f"{campaign}\n{segment or ''}"),
        "task": contract.purpose,
        "customer": None,
        "decision_id": None,
        "campaign": campaign,
        "segment": segment,
        "issued_at": now,
        "expires_at": now + contract.campaigns.send_within // timedelta(milliseconds=1),
    }
    topic, schema = topics.requests(name), catalogue.text("provider_request")
    with closing(Registry(settings.registry())) as registry:
        value = Writer(schema, registry.id_of(topics.subject(topic), schema)).write(request)
    key = str(request["request_id"]).encode()
    place = partition_of(key, settings.partitions)
    write_records(settings.client(USER), [(Record(topic, place, 0, key, value, 0), place)])
    click.echo(json.dumps(request))


def _contract(client: ClientConfig, settings: Settings, partner: PartnerId) -> Contract:
    """Of the set in force. Raises SluiceError."""
    newest = None
    with Tail(client, (topics.CONTRACT_SETS,), settings.providers.group, from_beginning=True) as tail:
        for newest in tail.to_the_end():  # noqa: B007 - the last one is the result
            pass
    found = recorded_set.contracts(recorded_set.decode(newest.key, newest.value)) if newest else ()
    for contract in found:
        if contract.partner == partner:
            return contract
    raise SluiceError(f"There is no contract with `{partner}` in force: write one and run `sluice apply`.")

"""`sluice acknowledge`: a partner that says of every recall that it is carried out, with its own credentials."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from schemas import catalogue
from sluice import topics
from sluice.avro import Writer
from sluice.kafka import group_offsets
from sluice.kafka.admin import topic_identities
from sluice.kafka.clients import ClientConfig, admin_client
from sluice.kafka.publishing import write_records
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from sluice.registry import Registry
from sluice.settings import load_settings

_POLL_SECONDS, _FOLLOW_SECONDS = 0.2, 1.0
"""What has come meanwhile is answered together."""


@click.command()
@click.argument("partner")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
def acknowledge(partner: str, settings_path: Path | None, follow: bool) -> None:  # noqa: FBT001 - a flag
    """Acknowledge PARTNER's control messages that it has not acknowledged yet, as the partner: for trials and tests.

    It deletes nothing: a real partner acknowledges when its own copies are gone. Prints how many as JSON.

    \b
    Examples:
      sluice acknowledge hoshi-card
      sluice acknowledge hoshi-card --follow
    """
    settings = load_settings(settings_path)
    name = PartnerId(partner)
    client, control = settings.client(name), topics.control(name)
    group = topics.partner_group(name, "acknowledge")
    with closing(Registry(settings.registry())) as registry:
        schema = catalogue.text("partner_return")
        writer = Writer(schema, registry.id_of(topics.subject(topics.returns(name)), schema))
        with Tail(client, (control,), group, from_beginning=True) as tail:
            answering = Answering(client, name, group, registry, writer)
            try:
                while follow or not tail.is_at_the_end:
                    answering.answer(tail.poll(_FOLLOW_SECONDS if follow else _POLL_SECONDS))
            except KeyboardInterrupt:
                pass
    click.echo(json.dumps({"partner": partner, "acknowledged": answering.answered}))


@dataclass(slots=True)
class Answering:
    """What was answered is remembered as a group's offsets; after a crash it is answered again, to no effect."""

    client: ClientConfig
    partner: PartnerId
    group: str
    registry: Registry
    writer: Writer
    answered: int = 0

    def answer(self, messages: list[Record]) -> None:
        """Raises KafkaTrouble."""
        if not messages:
            return
        numbers = {message.partition for message in messages}
        reached = group_offsets.reached(self.client, self.group, topics.control(self.partner), numbers)
        fresh = [message for message in messages if message.offset >= reached[message.partition]]
        if not fresh:
            return
        topic = topics.returns(self.partner)
        (identity,) = topic_identities(admin_client(self.client), (topic,))
        write_records(
            self.client,
            (
                (Record(topic, 0, 0, message.key, self._answer_to(message), 0), _place(message, identity.partitions))
                for message in fresh
            ),
        )
        ends = {message.partition: message.offset + 1 for message in fresh}
        group_offsets.reach(self.client, self.group, topics.control(self.partner), ends)
        self.answered += len(fresh)

    def _answer_to(self, message: Record) -> bytes:
        """The same return id whenever it is answered."""
        said = self.registry.decode(message.value)
        return self.writer.write(
            {
                "return_id": f"acknowledge-{said['decision_id']}",
                "type": "ACKNOWLEDGED",
                "decision_id": said["decision_id"],
                "customer": said["customer"],
                "at": time.time_ns() // 1_000_000,
            }
        )


def _place(message: Record, partitions: int) -> int:
    """Where any client of Kafka puts it."""
    return partition_of(message.key or b"", partitions)

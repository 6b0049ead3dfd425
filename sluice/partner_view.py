"""`sluice tail`: what a partner sees, read as that partner, with its own credentials."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from sluice import topics
from sluice.avro import Record as AvroRecord
from sluice.avro import Undecodable
from sluice.errors import SluiceError
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import PartnerId
from sluice.registry import Registry
from sluice.settings import load_settings

_POLL_SECONDS = 0.1


@click.command()
@click.argument("partner")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--from-beginning", is_flag=True, help="Begin with what is there, not with what comes next.")
@click.option("--until-end", is_flag=True, help="End at what is there now instead of waiting for more.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(partner: str, settings_path: Path | None, from_beginning: bool, until_end: bool, as_json: bool) -> None:  # noqa: FBT001
    """Show PARTNER's records, recalls and control messages as they arrive, with the partner's own credentials.

    \b
    Examples:
      sluice tail hoshi-card
      sluice tail hoshi-card --from-beginning --until-end --json | jq .value
    """
    settings = load_settings(settings_path)
    name = PartnerId(partner)
    client = settings.client(name)
    show = _json_line if as_json else _line
    wanted = (topics.customers(name), topics.control(name))
    with (
        closing(Registry(settings.registry())) as registry,
        Tail(client, wanted, topics.partner_group(name, "tail"), from_beginning=from_beginning) as source,
    ):
        _follow(source, lambda record: click.echo(show(record, _decoded(record, registry))), until_end=until_end)


def _follow(source: Tail, show: Callable[[Record], None], *, until_end: bool) -> None:
    try:
        for record in source.to_the_end():
            show(record)
        while not until_end:
            for record in source.poll(_POLL_SECONDS):
                show(record)
    except KeyboardInterrupt:
        return


def _decoded(record: Record, registry: Registry) -> AvroRecord | None:
    if record.value is None:
        return None
    try:
        return registry.decode(record.value)
    except Undecodable as error:
        raise SluiceError(f"{record.topic}/{record.partition}@{record.offset} cannot be decoded: {error}.") from None


def _json_line(record: Record, value: AvroRecord | None) -> str:
    place = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
    }
    return json.dumps({**place, "key": _text(record.key), "value": value}, default=_readable, ensure_ascii=False)


def _line(record: Record, value: AvroRecord | None) -> str:
    when = datetime.fromtimestamp(record.timestamp / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    if value is None:
        return f"{when}  {_text(record.key)}  recalled"
    if record.topic.endswith(".control"):
        return f"{when}  {_text(record.key)}  {value['type']}: {value['action']}"
    fields = "  ".join(f"{name}={_readable(v)}" for name, v in value.items() if v is not None)
    return f"{when}  {_text(record.key)}  {fields}"


def _text(key: bytes | None) -> str:
    return (key or b"").decode(errors="replace")


def _readable(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value

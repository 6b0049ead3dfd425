"""`sluice simulate-provider`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from sluice import topics
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.model import PartnerId
from sluice.registry import Registry, registered_writer
from sluice.settings import load_settings
from sluice.simulated_provider.working import Manners, Provider, reply, send

_POLL_SECONDS = 0.2
_SHARE = click.FloatRange(0, 1)


@click.command("simulate-provider")
@click.argument("kind", type=click.Choice(["hygiene", "email"]))
@click.argument("partner")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds between looking and answering.")
@click.option("--garbage", type=_SHARE, default=0.0, show_default=True, help="Share of replies that are wrong.")
@click.option("--silence", type=_SHARE, default=0.0, show_default=True, help="Share of requests left unanswered.")
@click.option("--seed", default=0, show_default=True, help="Decides which.")
def simulate_provider(  # noqa: PLR0913, PLR0917 - a command's options
    kind: str,
    partner: str,
    settings_path: Path | None,
    follow: bool,  # noqa: FBT001 - a flag
    latency: float,
    garbage: float,
    silence: float,
    seed: int,
) -> None:
    """Answer PARTNER's requests as the partner would, with its own credentials: for trials and tests.

    `hygiene` standardises addresses; `email` sends campaigns to whom it holds, and returns bounces and unsubscribes
    (nothing is sent). Prints what it did as JSON.

    \b
    Examples:
      sluice simulate-provider hygiene adresso
      sluice simulate-provider hygiene adresso --follow --garbage 0.1 --silence 0.05
      sluice simulate-provider email letterbird
    """
    settings, name = load_settings(settings_path), PartnerId(partner)
    topic, answer = (topics.replies(name), reply) if kind == "hygiene" else (topics.returns(name), send)
    with closing(Registry(settings.registry())) as registry:
        house = _house(settings.client(name), name, registry, topic, Manners(latency, garbage, silence, seed))
        with house.tail:
            try:
                while follow or not house.tail.is_at_the_end:
                    house.turn(_POLL_SECONDS, answer, topic)
            except KeyboardInterrupt:
                pass
    click.echo(json.dumps({"partner": partner, **house.done}))


def _house(client: ClientConfig, name: PartnerId, registry: Registry, topic: str, manners: Manners) -> Provider:
    writer = registered_writer(registry, topic, "provider_reply" if topic == topics.replies(name) else "partner_return")
    wanted = (topics.customers(name), topics.requests(name))
    tail = Tail(client, wanted, topics.partner_group(name, "simulator"), from_beginning=True)
    return Provider(client, name, registry, tail, writer, manners, lambda text: click.echo(text, err=True))

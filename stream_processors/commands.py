"""`sluice run …`: the processors."""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click
import structlog
from prometheus_client import CollectorRegistry, start_http_server

from sluice.errors import SluiceError
from sluice.settings import load_settings
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.setup import processor


@click.group()
def run() -> None:
    """Run a processor until it is stopped (Ctrl-C or SIGTERM)."""


@run.command()
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--instance", help="Name of this process in its group; overrides the settings.")
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Overrides the settings; 0 takes a free port.")
@click.option("--until-end", is_flag=True, help="Do what there is to do, print what was done as JSON, and end.")
def sharing(settings_path: Path | None, instance: str | None, metrics_port: int | None, until_end: bool) -> int:  # noqa: FBT001 - a flag
    """Maintain the partner topics: consent filter, redaction, recall. Logs are JSON lines on standard error.

    With --until-end it exits 1 when something was left undone for somebody to mend, and says what.

    \b
    Examples:
      sluice run sharing
      sluice run sharing --settings deploy/demo/sluice.yaml --instance 1 --metrics-port 0
      sluice run sharing --until-end | jq .seconds
    """
    started = time.monotonic()
    _log_as_json()
    settings = load_settings(settings_path)
    if instance is not None:
        own = settings.sharing.model_copy(update={"instance": instance})
        settings = settings.model_copy(update={"sharing": own})
    endpoint = settings.sharing.metrics
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    work = processor(settings, metrics)
    port = endpoint.port if metrics_port is None else metrics_port
    try:
        server, _ = start_http_server(port, endpoint.host, registry)
    except OSError as error:
        raise SluiceError(
            f"Cannot serve metrics on {endpoint.host}:{port}: {error.strerror}. Choose another with --metrics-port."
        ) from error
    structlog.get_logger(__name__).info("serving_metrics", url=f"http://{endpoint.host}:{server.server_port}/metrics")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: work.stop())
    held_up: dict[int, list[str]] = {}
    try:
        held_up = work.run(until_end=until_end)
    finally:
        server.shutdown()
    if until_end:
        done = asdict(metrics.done()) | {"seconds": round(time.monotonic() - started, 3), "held_up": held_up}
        click.echo(json.dumps(done))
    return 1 if held_up else 0


def _log_as_json() -> None:
    """One JSON object a line; events carry places and counts, never a customer's values."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

"""`sluice render …`: what others are to set up, written for their tools. Neither broker nor cluster is asked."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from sluice.contract import check, load_contracts
from sluice.metrics import rules
from sluice.metrics.alerts import RUNBOOK
from sluice.metrics.dashboards import DASHBOARDS
from sluice.provisioning import desired, our_source_schema
from sluice.settings import load_settings
from sluice.source_schema import leaves
from sluice.strimzi import Cluster, resources

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def render() -> None:
    """Write what the contracts need for tools that set it up."""


@render.command()
@click.option("--settings", "settings_path", type=_FILE, help="Settings file [./sluice.yaml].")
@click.option("--contracts", type=_FOLDER, help="Folder of contracts [the settings'].")
@click.option("--schema", type=_FILE, help="Avro schema of the source [our customer profile].")
@click.option("--cluster", default="kafka", show_default=True, help="Name of the Kafka resource.")
def kubernetes(settings_path: Path | None, contracts: Path | None, schema: Path | None, cluster: str) -> None:
    """Print topics, users and their rights as resources of Strimzi: KafkaTopic and KafkaUser.

    Users log in with a password, but for those that the settings name under `certificates`.

    \b
    Examples:
      sluice render kubernetes --settings deploy/demo/sluice.yaml | kubectl diff --namespace sluice --filename -
      sluice render kubernetes --contracts contracts > topics-and-users.yaml
    """
    settings = load_settings(settings_path)
    source = our_source_schema().text if schema is None else schema.read_text(encoding="utf-8")
    checked = check(load_contracts(contracts or settings.contracts), leaves(source), settings.load_law())
    wanted = desired(checked, settings.groups, certified=settings.certificates)
    made = resources(wanted, Cluster(cluster, settings.partitions))
    click.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)


@render.command()
@click.option("--kubernetes", is_flag=True, help="As a PrometheusRule, for Prometheus' operator.")
@click.option(
    "--runbooks", default=RUNBOOK, show_default=True, metavar="ADDRESS", help="Of the page on alerts, for its links."
)
def prometheus(*, kubernetes: bool, runbooks: str) -> None:
    """Print recording and alerting rules: what is promised, and what somebody has to look at.

    \b
    Examples:
      sluice render prometheus > /etc/prometheus/rules/sluice.yaml
      sluice render prometheus --kubernetes | kubectl apply --namespace sluice --filename -
      sluice render prometheus --runbooks https://docs.example.com/sluice/docs/alerts.html
    """
    click.echo((rules.resource if kubernetes else rules.document)(runbooks), nl=False)


@render.command()
@click.argument("folder", type=_FOLDER)
def grafana(folder: Path) -> None:
    """Write dashboards into FOLDER, a JSON file each: overview, one partner, recalls, inside the processor.

    \b
    Example:
      sluice render grafana /var/lib/grafana/dashboards
    """
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        path = folder / f"{dashboard.uid}.json"
        path.write_text(dashboard.text(), encoding="utf-8")
        click.echo(str(path))

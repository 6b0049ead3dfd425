"""``sluice local``: a broker and a registry for development and tests on this machine."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sluice.local import stack
from sluice.local.terminal import Terminal

_INTERRUPTED = 130

state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".sluice/local"),
    show_default=True,
    help="Folder that holds all of this copy: data, logs, configuration, passwords.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def local() -> None:
    """Run a Kafka broker and a schema registry on this machine.

    Nothing but this Python installation is needed. The first start fetches 200 MB, once for all copies. Both listen on
    the loopback interface only. The broker lets nobody in without a password; the registry has no authentication.

    \b
    Examples:
      sluice local up
      sluice local status
      kcat -F .sluice/local/clients/admin.properties -L
      sluice local down --delete
    """


@local.command()
@state_option
@json_option
def up(state: Path, *, as_json: bool) -> None:
    """Start what does not run, and return when both serve.

    \b
    Examples:
      sluice local up
      sluice local up --state /tmp/second-copy
      sluice local up --json
    """
    try:
        endpoints = stack.start(state, Terminal())
    except KeyboardInterrupt:
        click.echo("interrupted; what this command started is stopped again", err=True)
        raise SystemExit(_INTERRUPTED) from None
    if as_json:
        _print_json(endpoints)
    else:
        _print_endpoints(endpoints)


@local.command()
@state_option
@click.option("--delete", is_flag=True, help="Also remove the copy's data, passwords and logs.")
def down(state: Path, *, delete: bool) -> None:
    """Stop what runs of a copy.

    \b
    Examples:
      sluice local down
      sluice local down --delete
      sluice local down --state /tmp/second-copy
    """
    if delete:
        click.echo(f"deleted {state}" if stack.delete(state) else f"there is no copy in {state}")
        return
    stopped = stack.stop(state)
    click.echo(f"stopped {' and '.join(sorted(stopped))}" if stopped else f"nothing runs in {state}")


@local.command()
@state_option
@json_option
def status(state: Path, *, as_json: bool) -> None:
    """Say what runs; exits with 0 if both serve, else with 1.

    \b
    Examples:
      sluice local status
      sluice local status --json
    """
    found = stack.status(state)
    if as_json:
        _print_json(found)
    else:
        _print_status(found)
    if not found.is_up:
        raise SystemExit(1)


def _print_status(found: stack.Status) -> None:
    for service in found.services:
        click.echo(f"{service.name:<9}{_in_words(service)}")
    if found.endpoints is not None and found.is_up:
        _print_endpoints(found.endpoints)


def _in_words(service: stack.ServiceStatus) -> str:
    if service.pid is None or service.since is None:
        return "stopped"
    minutes, seconds = divmod(int(time.time() - service.since), 60)
    silent = "" if service.answers else ", does not answer"
    return f"running for {minutes} min {seconds} s, process {service.pid}{silent}"


def _print_endpoints(endpoints: stack.Endpoints) -> None:
    click.echo(f"bootstrap {endpoints.bootstrap}")
    click.echo(f"registry  {endpoints.registry_url}")
    click.echo(f"clients   {endpoints.clients}")


def _print_json(result: stack.Endpoints | stack.Status) -> None:
    fields: dict[str, Any] = asdict(result)
    if isinstance(result, stack.Status):
        fields["up"] = result.is_up
    click.echo(json.dumps(fields, default=str, indent=2))

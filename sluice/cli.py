"""The command line: gathers the commands that every part offers, and turns errors into one plain sentence."""

from __future__ import annotations

import errno
import signal
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from sluice import interrupts
from sluice.errors import SluiceError
from sluice.form import form, release

GROUP = "sluice.commands"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Commands(click.Group):
    """Commands come from the entry points `sluice.commands`, and are imported only when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_offered())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        offer = _offered().get(cmd_name)
        if offer is None:
            return None
        command = offer.load()
        assert isinstance(command, click.Command)
        return command


def _offered() -> dict[str, EntryPoint]:
    return {offer.name: offer for offer in entry_points(group=GROUP)}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(f"{release()} ({form()})", prog_name="sluice")
def cli() -> None:
    """Share customer data over Kafka with whom the customer agreed to, as long as they agree.

    \b
    Begin here:
      sluice demo                      everything once, on a broker of its own
      sluice local up                  a real Kafka and schema registry on this machine
      sluice plan, sluice apply        topics, rights, quotas and schemas that contracts ask for
      sluice publish customers FILE    what a CRM team does
      sluice simulate                  what a privacy officer asks before anything is shared
      sluice explain CUSTOMER          and after: why, with the law
      sluice run sharing               what an operator runs
      sluice tail PARTNER              what a partner sees
    """


def main() -> None:
    """Exits 1 with a sentence for what somebody has to mend, 2 for a wrong call, 130 when interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody has it ignored
        signal.signal(signal.SIGINT, interrupts.hear)
    try:
        status = cli(standalone_mode=False)
    except SluiceError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        click.echo("There is no room left on the disk: make some where the output or TMPDIR lies.", err=True)
        sys.exit(1)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)

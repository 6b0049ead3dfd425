"""Every command, as its `--help` has it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from docs.site.markdown import block, code, page, prose, table
from sluice.cli import cli

_AS_IT_STANDS = "\b\n"
"""As click has it: a paragraph that begins so is not filled."""


def commands() -> str:
    """The page."""
    return page(
        "# Commands",
        prose(
            "Each says the same with `--help`. All exit with 0 when done, with 1 and a sentence when something has to "
            "be mended, with 2 for a wrong call (`plan` and `verify` also when something differs)."
        ),
        *(part for context in contexts() for part in _told(context)),
    )


def contexts() -> Iterator[click.Context]:
    """`sluice`, and every command below it."""
    yield from _below(click.Context(cli, info_name="sluice"))


def _below(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from _below(click.Context(command, info_name=name, parent=context))


def _told(context: click.Context) -> Iterator[str]:
    yield f"## {code(context.command_path)}"
    yield block(" ".join([context.command_path, *context.command.collect_usage_pieces(context)]))
    yield from _help(context.command.help or "")
    yield _arguments(context)
    yield _options(context)


def _help(text: str) -> Iterator[str]:
    """Its paragraphs; examples as they stand."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(_AS_IT_STANDS):
            title, _, lines = paragraph.removeprefix(_AS_IT_STANDS).partition("\n")
            yield prose(title)
            yield block(inspect.cleandoc(lines))
        else:
            yield prose(paragraph)


def _arguments(context: click.Context) -> str:
    rows = [
        (code(argument.make_metavar(context).strip("[]")), _type(argument), "yes" if argument.required else "no")
        for argument in context.command.params
        if isinstance(argument, click.Argument)
    ]
    return table(("argument", "takes", "required"), rows) if rows else ""


def _type(argument: click.Argument) -> str:
    return (
        " or ".join(map(code, argument.type.choices)) if isinstance(argument.type, click.Choice) else argument.type.name
    )


def _options(context: click.Context) -> str:
    rows = [
        row for option in context.command.params if isinstance(option, click.Option) for row in _option(option, context)
    ]
    return table(("option", "meaning", "default", "bounds"), rows) if rows else ""


def _option(option: click.Option, context: click.Context) -> Iterator[tuple[str, str, str, str]]:
    told = option.get_help_record(context)
    if told is None:
        return
    extra = option.get_help_extra(context)
    bounds = extra.get("range", "required" if "required" in extra else "")
    more = ", more than once" if option.multiple else ""
    yield code(told[0]) + more, prose(option.help or ""), code(extra.get("default", "")), prose(bounds)

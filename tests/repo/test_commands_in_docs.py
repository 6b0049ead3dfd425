"""Every command that a document tells is one that there is, with options that it has."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from sluice.cli import cli
from tests.repo.told import DOCUMENTS, ROOT, commands

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
TOLD = sorted({(path.name, shlex.join(words)) for path in DOCUMENTS for words in commands(path.read_text("utf-8"))})


def test_there_are_many() -> None:
    assert len(TOLD) > 100


@pytest.mark.parametrize(("document", "command"), TOLD, ids=lambda value: value)
def test_a_command_that_is_told_is_there(document: str, command: str) -> None:  # noqa: ARG001 - for the test's name
    program, *rest = shlex.split(command)
    if program == "make":
        named = [word for word in rest if re.fullmatch(r"[a-z-]+", word)]
        assert set(named) <= TARGETS
        return
    found: click.Command = cli
    while rest and isinstance(found, click.Group) and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name == "…":
            return
        inner = found.get_command(click.Context(found), name)
        assert inner is not None, f"{command}: there is no `{name}`"
        found = inner
    known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.split("=")[0] for word in rest if word.startswith("--")}
    assert given <= {*known, "--help", "--version"}, command

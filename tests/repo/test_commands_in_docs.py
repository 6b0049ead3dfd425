"""Every command that a document tells is one that there is, with options that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sluice.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^( *)```\w*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(sluice [^`\n]+|make [a-z-]+[^`\n]*)`")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
ENDS = {"|", ">", ">>", "<", "&&", ";", "||"}


def commands(text: str) -> Iterator[list[str]]:
    """Words of each, up to what a shell does with it; lines that end with a backslash go on."""
    told = [match[1] for match in INLINE.finditer(text)]
    for match in BLOCK.finditer(text):
        told += match[2].replace("\\\n", " ").splitlines()
    for line in told:
        words = _words(line)
        for place, word in enumerate(words):
            if word in {"sluice", "make"} and (place == 0 or words[place - 1] in ENDS or words[place - 1] in _BEFORE):
                rest = words[place:]
                yield rest[: next((n for n, one in enumerate(rest) if one in ENDS), len(rest))]


_BEFORE = {"exec", "tool", "sudo"}


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a sentence with an apostrophe
        return []


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

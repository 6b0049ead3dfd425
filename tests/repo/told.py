"""The commands that documents tell people to type: in blocks of code, and within sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"^( *)```\w*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(sluice [^`\n]+|make [a-z-]+[^`\n]*|docker compose [^`\n]+)`")
_ENDS = {"|", ">", ">>", "<", "&&", ";", "||"}
_BEFORE = {"exec", "sudo", "--"}
_IN_COMPOSE = ["run", "--rm", "tool"]
"""Before the words of a command of ours: the image runs `sluice`."""


def commands(text: str) -> Iterator[list[str]]:
    """Words of each, up to what a shell does with it; lines that end with a backslash go on."""
    told = [(match.start(), match[1]) for match in _INLINE.finditer(text)]
    for match in _BLOCK.finditer(text):
        told += [(match.start(), line) for line in match[2].replace("\\\n", " ").splitlines()]
    for _, line in sorted(told, key=lambda one: one[0]):
        words = _words(line)
        for place, word in enumerate(words):
            if word in {"sluice", "make"} and (place == 0 or words[place - 1] in _ENDS or words[place - 1] in _BEFORE):
                yield _to_its_end(words[place:])
            elif words[: place + 1][-3:] == _IN_COMPOSE:
                yield ["sluice", *_to_its_end(words[place + 1 :])]


def _to_its_end(words: list[str]) -> list[str]:
    return words[: next((n for n, one in enumerate(words) if one in _ENDS), len(words))]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a sentence with an apostrophe
        return []

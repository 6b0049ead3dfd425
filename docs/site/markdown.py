"""Markdown from text that is none. As Python-Markdown reads it, with tables and fenced code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(`[^`]+`)")
_MEANT_OTHERWISE = re.compile(r"([\\`*_{}\[\]#|])")


def prose(text: str) -> str:
    """A sentence: what stands between backticks is code, and nothing else means anything."""
    return "".join(part if _CODE.fullmatch(part) else _plain(part) for part in _CODE.split(_line(text)))


def _plain(text: str) -> str:
    return _MEANT_OTHERWISE.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def code(text: str) -> str:
    """Nothing for nothing: a pair of backticks would be read as such."""
    text = _line(text)
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def codes(words: Iterable[str]) -> str:
    return ", ".join(map(code, words))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of cells that are Markdown already. A column in which no row says anything is left out."""
    told = [list(row) for row in rows]
    said = [column for column in range(len(head)) if any(row[column] for row in told)]
    return "\n".join(_row([cells[column] for column in said]) for cells in (head, ["---"] * len(head), *told))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def block(text: str, language: str = "text") -> str:
    """As it stands."""
    return f"```{language}\n{text.rstrip()}\n```"


def items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def page(*parts: str) -> str:
    """The parts that there are, one below the other."""
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())

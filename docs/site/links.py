"""Links of the repository's documents, as the site needs them.

Pages keep the places that they have in the repository, so that links between them hold. What is linked and is neither
a page nor a picture of one stays where it is: its link becomes its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import PurePosixPath
from posixpath import normpath, relpath

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile("\0(\\d+)\0")
_ELSEWHERE = re.compile(r"[a-z]+:|#|/")


def for_site(text: str, place: str, there: Collection[str], is_outside: Callable[[str], bool]) -> str:
    """A document at `place`. `there`: what is in the site; `is_outside`: whether the repository has it.

    A link to what is in neither is left as it is: building the site fails on it.
    """

    def mended(picture: str, words: str, target: str) -> str:
        path, _, _ = target.partition("#")
        found = _resolved(place, path)
        if found in there or not is_outside(found):
            return f"{picture}[{words}]({target})"
        return f"`{found}`" if words.strip("`") in {found, path} else f"{words} (`{found}`)"

    return _each(text, mended)


def moved(text: str, place: str, to: str) -> str:
    """The same for a reader of another page: a piece of the document at `place`, as it stands in that at `to`."""

    def mended(picture: str, words: str, target: str) -> str:
        path, hash_, anchor = target.partition("#")
        found = relpath(_resolved(place, path) if path else place, PurePosixPath(to).parent)
        return f"{picture}[{words}]({found}{hash_}{anchor})"

    return _each(text, mended, anchors=True)


def pictures(text: str, place: str) -> list[str]:
    """Those of the document that are files of the repository."""
    found: list[str] = []

    def noted(picture: str, words: str, target: str) -> str:
        found.extend([_resolved(place, target)] if picture else [])
        return f"{picture}[{words}]({target})"

    _each(text, noted)
    return found


def _each(text: str, mended: Callable[[str, str, str], str], *, anchors: bool = False) -> str:
    """The text with every relative link outside code put through `mended`; a link's own words may be code."""
    hidden: list[str] = []

    def hide(match: re.Match[str]) -> str:
        hidden.append(match[0])
        return f"\0{len(hidden) - 1}\0"

    def shown(covered: str) -> str:
        return _HIDDEN.sub(lambda match: hidden[int(match[1])], covered)

    def link(match: re.Match[str]) -> str:
        elsewhere = _ELSEWHERE.match(match[3])
        if elsewhere and not (anchors and elsewhere[0] == "#"):
            return match[0]
        return mended(match[1], shown(match[2]), match[3])

    return shown(_LINK.sub(link, _CODE.sub(hide, text)))


def _resolved(place: str, path: str) -> str:
    return normpath(str(PurePosixPath(place).parent / path))

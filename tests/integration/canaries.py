"""Secrets that are easy to recognise, and the search for them in whatever can be seen from outside."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_LOOK_SECONDS = 0.1

# Those who look at all processes of the machine, side by side, look for secrets of their own.
_OWN = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
MARK = f"c4n4ry{_OWN}"
_KEY_BYTES = bytes([0x5E, 0xC2, 0xE7 - _OWN]) * 10 + b"\x5e\xc2"
ROOT_KEY = _KEY_BYTES.hex()
"""Wherever it is cut, three bytes tell it."""


def password(user: str) -> str:
    return f"{MARK}-{user}-{MARK}"


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """As it looks inside a longer text, wherever it begins there."""
    for before in range(3):
        encoded = base64.b64encode(b"-" * before + secret)
        yield encoded[-(before * -8 // 6) : (before + len(secret)) * 8 // 6]


_CUT = _KEY_BYTES[:12]
FORMS = {
    "password": MARK.encode(),
    "key": _CUT,
    "key, hexadecimal": _CUT.hex().encode(),
    "key, upper case": _CUT.hex().upper().encode(),
    "key, as Python prints it": repr(_CUT)[2:-1].encode(),
}
_NEEDLES = frozenset({*FORMS.values(), *_in_base64(MARK.encode()), *_in_base64(_CUT), *_in_base64(_CUT.hex().encode())})


def betrays(seen: bytes) -> bool:
    """Whether a part of a secret is in it."""
    return any(needle in seen for needle in _NEEDLES)


def betraying(places: Mapping[str, bytes]) -> list[str]:
    return sorted(place for place, seen in places.items() if betrays(seen))


def files(*folders: Path) -> dict[str, bytes]:
    """All that lies there now; what goes meanwhile is no matter."""
    found = {}
    for folder in folders:
        for place, _, names in os.walk(folder):  # which passes over folders that go meanwhile
            for path in (Path(place, name) for name in names):
                try:
                    found[str(path)] = path.read_bytes()
                except FileNotFoundError:
                    continue
    return found


class Processes:
    """Command lines and environments of all processes of this machine, looked at again and again. A context manager."""

    def __init__(self) -> None:
        self.command_lines: set[str] = set()
        """Those that betray something."""
        self.environments: set[str] = set()
        """Command lines of those whose environment does."""
        self.looked_at: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    line, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
                except OSError:
                    continue  # it has ended, or is not ours
                command = line.replace(b"\0", b" ").decode(errors="replace").strip()
                self.looked_at.add(command)
                if betrays(line):
                    self.command_lines.add(command)
                if betrays(environment):
                    self.environments.add(command)

"""A partner's connection file as it is handed over: nothing in it refers to what stays with us."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sluice.errors import SluiceError
from sluice.partner_kit.folder import File

_PRIVATE = 0o600
_HANDED_OVER = re.compile(r"ssl\.(?P<what>[a-z.]+)\.(?P<kind>location|pem)")
"""What librdkafka takes from a file, or written out: authority, certificate, key, key store."""


def files(connection: Mapping[str, str], name: str) -> dict[str, File]:
    """The connection file of this name, and beside it every file that it needs: paths lead into the folder.

    Raises SluiceError for a file that is not there.
    """
    lines: list[str] = []
    beside: dict[str, File] = {}
    for key, value in connection.items():
        found = _HANDED_OVER.fullmatch(key)
        if found is None:
            lines.append(f"{key}={value}\n")
            continue
        path = f"{found['what'].replace('.', '-')}{'.pem' if found['kind'] == 'pem' else Path(value).suffix}"
        beside[path] = File(value.encode() + b"\n" if found["kind"] == "pem" else _content(key, Path(value)), _PRIVATE)
        lines.append(f"ssl.{found['what']}.location={path}\n")
    return {name: File("".join(lines).encode(), _PRIVATE), **beside}


def _content(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SluiceError(f"`{key}` leads to {path}, which cannot be read: {error.strerror}.") from None

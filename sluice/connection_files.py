"""Connection files: `key=value` a line, as librdkafka's tools read them. What is secret may stand elsewhere.

In a value, `${env:NAME}`, `${file:PATH:KEY}` (a line of another such file) and `${dir:PATH:FILE}` (a whole file, as
Kubernetes mounts secrets) stand for what is found there: so Kafka's own ConfigProviders are written (KIP 297, 632 and
887). Paths are relative to the file. What is found is not looked at again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from sluice.errors import SluiceError
from sluice.private_file import read_private, refuse_exposed

_REFERENCE = re.compile(r"\$\{([^}:]*):(?:([^}]*):)?([^}:]*)\}")
_SECRET = re.compile(r"(password|passphrase|secret|token|user\.info|key\.pem)$")
_OF_ONE_USER = re.compile(r"^(sasl\.(username|oauthbearer\.)|ssl\.(certificate|key|keystore)\.)")


class Connection(dict[str, str]):
    """What a connection file says, as client libraries take it. It holds passwords: only its keys are ever shown."""

    def __repr__(self) -> str:
        return f"Connection({', '.join(self)})"


def read_properties(path: Path) -> Connection:
    """With all that it refers to. Raises SluiceError, which never shows a value."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SluiceError(
            f"There is no {path}: start a local broker with `sluice local up` and `sluice apply`, "
            "or ask your operator for the file."
        ) from None
    except OSError as error:
        raise SluiceError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SluiceError(f"{path} is not text: restore it, or ask your operator for it.") from None
    written = _parsed(text, path)
    if any(_SECRET.search(key) and not _REFERENCE.search(value) for key, value in written.items()):
        refuse_exposed(path)
    return Connection({key: _resolved(value, key, path) for key, value in written.items()})


def of_everybody(connection: Mapping[str, str]) -> Connection:
    """Where and how to connect, without who somebody is and what proves it."""
    kept = (pair for pair in connection.items() if not (_OF_ONE_USER.search(pair[0]) or _SECRET.search(pair[0])))
    return Connection(kept)


def _parsed(text: str, path: Path) -> Connection:
    written = Connection()
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not equals:
            raise SluiceError(f"{path}:{number}: this line is no `key=value`.")
        written[key.strip()] = value.strip()
    return written


def _resolved(value: str, key: str, path: Path) -> str:
    def found(reference: re.Match[str]) -> str:
        match reference.groups():
            case "env", None, name:
                place, there = f"in the environment variable {name}", os.environ.get(name)
            case "file", str(other), name:
                place, there = f"as `{name}` in {path.parent / other}", _lines(path.parent / other).get(name)
            case "dir", str(folder), name:
                place, there = f"in {path.parent / folder / name}", _content(path.parent / folder / name)
            case _:
                raise SluiceError(
                    f"{path}: `{key}` is said to stand in a place that cannot be: write ${{env:NAME}}, "
                    "${file:PATH:KEY} or ${dir:PATH:FILE}."
                )
        if there is None:
            raise SluiceError(f"{path}: `{key}` is said to stand {place}, and does not.")
        return there

    return _REFERENCE.sub(found, value)


def _lines(path: Path) -> Mapping[str, str]:
    return _parsed(_content(path) or "", path)


def _content(path: Path) -> str | None:
    """Without the line's end that editors add. None: there is no such file."""
    try:
        return read_private(path).decode().rstrip("\r\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SluiceError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SluiceError(f"{path} is not text: restore it.") from None

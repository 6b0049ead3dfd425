"""Users' connection files: `<user>.properties`, with the password and the mechanism that it is for."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from sluice import private_file
from sluice.connection_files import Connection, of_everybody, read_properties
from sluice.errors import SluiceError

_PASSWORD_BYTES = 24
_MECHANISM = ("sasl.mechanism", "sasl.mechanisms")
_DEFAULT = "SCRAM-SHA-512"


class ConnectionFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, user: str) -> Path:
        return self._folder / f"{user}.properties"

    def mechanisms(self, users: Iterable[str]) -> dict[str, str]:
        """Of those users that have a file here."""
        return {user: mechanism(self.read(user)) for user in users if self.path(user).exists()}

    def read(self, user: str) -> Connection:
        return read_properties(self.path(user))

    def ensure(self, user: str, administrator: Mapping[str, str]) -> tuple[str, str]:
        """Mechanism and password in the user's file; a new file with a new password if there is none.

        Raises SluiceError when it cannot be written.
        """
        _make(self.path(user), credentials(administrator, user, _DEFAULT))
        found = self.read(user)
        return mechanism(found), found["sasl.password"]

    def next_path(self, user: str) -> Path:
        """Of a file that takes the place of the user's when it is known to let in."""
        return self._folder / f".{user}.next"

    def prepare(self, user: str, administrator: Mapping[str, str], for_mechanism: str) -> Connection:
        """What the next file says; the same as before if it was prepared and did not come to its place.

        Raises SluiceError when it cannot be written.
        """
        path = self.next_path(user)
        _make(path, credentials(administrator, user, for_mechanism))
        return read_properties(path)


def credentials(administrator: Mapping[str, str], user: str, for_mechanism: str) -> Connection:
    """How the user connects where the administrator does, with a new password."""
    kept = {key: value for key, value in of_everybody(administrator).items() if key not in _MECHANISM}
    own = {"sasl.username": user, "sasl.password": secrets.token_urlsafe(_PASSWORD_BYTES)}
    return Connection({**kept, "sasl.mechanism": for_mechanism, **own})


def mechanism(properties: Connection) -> str:
    return next((properties[key] for key in _MECHANISM if key in properties), _DEFAULT)


def _make(path: Path, properties: Connection) -> None:
    try:
        private_file.create(path, "".join(f"{key}={value}\n" for key, value in properties.items()))
    except OSError as error:
        raise SluiceError(
            f"A new password cannot be written to {path} ({error.strerror}): run this where that folder can be written."
        ) from None

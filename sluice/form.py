"""Which form of the code runs (hatch_build.py)."""

from __future__ import annotations

from importlib.metadata import version

from sluice import wire


def form() -> str:
    """Whether what every record passes through runs compiled."""
    return "pure Python" if wire.__file__.endswith(".py") else "compiled"


def release() -> str:
    return version("sluice")

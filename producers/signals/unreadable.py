"""The one error of the decoders."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 16_384
"""Characters of a signal. Far beyond what consent tools write, and what keeps a made-up one from taking long."""

_PRINTED = re.compile(r"[A-Za-z0-9_+/~.-]+")


class SignalUnreadable(Exception):
    """A signal does not say what its specification lets it say. One sentence, without anything of the signal."""


def signal_text(value: object) -> str:
    """A signal's characters, if they are the web-safe ones that GPP and TCF are written in. Raises SignalUnreadable."""
    if not isinstance(value, str):
        raise SignalUnreadable("it is no text")
    if len(value) > LONGEST:
        raise SignalUnreadable(f"it is longer than {LONGEST:,} characters")
    if not _PRINTED.fullmatch(value):
        raise SignalUnreadable("it is empty, or has characters that such a signal never has")
    return value

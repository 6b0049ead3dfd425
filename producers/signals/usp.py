"""The US Privacy string: `1`, then notice, opt-out of sale and LSPA as Y, N or -.

Source: IAB Tech Lab, CCPA Compliance Framework, US Privacy String 1.0; section 6 (uspv1) of a GPP string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from producers.signals.unreadable import SignalUnreadable, signal_text

_STRING = re.compile(r"1([YN-])([YN-])[YN-]", re.IGNORECASE)
_NUMBERS = {"Y": 1, "N": 2, "-": 0}


@dataclass(frozen=True, slots=True)
class UsPrivacy:
    """In the numbers of the GPP sections: 0 not applicable, 1 yes, 2 no."""

    notice: int = field(repr=False)
    sale: int = field(repr=False)
    """Opted out of sale."""


def decode(value: object) -> UsPrivacy:
    """Raises SignalUnreadable."""
    found = _STRING.fullmatch(signal_text(value))
    if not found:
        raise SignalUnreadable("it is no US Privacy string of version 1")
    notice, sale = (_NUMBERS[letter.upper()] for letter in found.groups())
    return UsPrivacy(notice, sale)

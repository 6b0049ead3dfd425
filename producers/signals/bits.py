"""Bit fields in characters of six bits each.

Source: IAB Tech Lab, Global Privacy Platform String 1.0, "Creating a GPP String" and "Section Encoding" (CC BY 3.0).
"""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

from producers.signals.unreadable import SignalUnreadable

LARGEST_ID: Final = 4095
"""Of a section or subsection, far above any that is assigned."""

_CHARACTERS = ascii_uppercase + ascii_lowercase + digits
_VALUES = {character: value for value, character in enumerate(_CHARACTERS)}
# The specification's table ends in + and /, its note on web-safe characters and all its examples use - and _.
_VALUES |= {"-": 62, "+": 62, "_": 63, "/": 63}

_LONGEST_CODE = 20
_PADDING = 12
"""Encoders fill up to whole bytes, then to whole characters: fewer zeros than this."""


class Bits:
    """Reads fields one after the other. Every method raises SignalUnreadable when the bits end too early."""

    def __init__(self, text: str) -> None:
        try:
            self._bits = "".join(f"{_VALUES[character]:06b}" for character in text)
        except KeyError:
            raise SignalUnreadable("a part has characters that no bit field has") from None
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._bits) - self._at

    def integer(self, width: int) -> int:
        """A number of `width` bits."""
        if self._at + width > len(self._bits):
            raise SignalUnreadable("a part is shorter than its layout")
        self._at += width
        return int(self._bits[self._at - width : self._at], 2)

    def integers(self, count: int, width: int) -> tuple[int, ...]:
        return tuple(self.integer(width) for _ in range(count))

    def fibonacci(self) -> int:
        """A number in Fibonacci coding: Fibonacci numbers from 1, 2, 3, 5 on, ended by two ones."""
        end = self._bits.find("11", self._at)
        if not 0 <= end - self._at < _LONGEST_CODE:
            raise SignalUnreadable("a number in Fibonacci coding does not end")
        code = self._bits[self._at : end + 1]
        self._at = end + 2
        total, one, two = 0, 1, 2
        for bit in code:
            total += one if bit == "1" else 0
            one, two = two, one + two
        return total

    def ids(self) -> tuple[int, ...]:
        """A `Range (Fibonacci)`: rising ids, each as its distance from the one before, alone or as a group."""
        found: list[int] = []
        last = 0
        for _ in range(self.integer(12)):
            is_group = self.integer(1)
            first = last + self.fibonacci()
            last = first + (self.fibonacci() if is_group else 0)
            if last > LARGEST_ID:
                raise SignalUnreadable("an id is larger than any that is assigned")
            found.extend(range(first, last + 1))
        return tuple(found)

    def finish(self) -> None:
        """Only padding is left: with anything else, the layout was another one than it was read by."""
        rest = self._bits[self._at :]
        if len(rest) >= _PADDING or "1" in rest:
            raise SignalUnreadable("a part is longer than its layout")

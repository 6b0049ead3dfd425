"""How a customer's row lies in the store: in front what an update changes, and behind it the rest, left encoded."""

from __future__ import annotations

from typing import Final, NamedTuple

DIGEST_BYTES: Final = 16
_STANDING_BYTES: Final = 2
_PROFILE_BYTES: Final = 4
_MOST: Final = (1 << 8 * _STANDING_BYTES) - 1


class Stored(NamedTuple):
    """A row in its parts."""

    standing: bytes
    """What stands for the customer (`stream_processors.sharing.standing`): first how many partners hold something, in
    two bytes, last the digest of each one's record, in the order in which the rest has them. Empty: nothing stands.
    """
    profile: bytes | None
    rest: bytes
    """Where something stands, its digests are not the newest."""

    def encoded(self) -> bytes:
        """What stands and has no room does not stand."""
        standing = self.standing if len(self.standing) <= _MOST else b""
        size, profile = (0, b"") if self.profile is None else (len(self.profile) + 1, self.profile)
        return b"".join(
            (
                len(standing).to_bytes(_STANDING_BYTES, "big"),
                standing,
                size.to_bytes(_PROFILE_BYTES, "big"),
                profile,
                self.rest,
            )
        )

    def digests(self) -> list[bytes]:
        """Of what partners hold."""
        standing = self.standing
        count = int.from_bytes(standing[:2], "big")
        first = len(standing) - DIGEST_BYTES * count
        return [standing[at : at + DIGEST_BYTES] for at in range(first, len(standing), DIGEST_BYTES)]


def parts(value: bytes) -> Stored:
    """Raises ValueError for what is too short to be a row."""
    at = _STANDING_BYTES
    end = at + int.from_bytes(value[:at], "big")
    standing = value[at:end]
    at = end + _PROFILE_BYTES
    size = int.from_bytes(value[end:at], "big")
    end = at + max(size - 1, 0)
    if len(value) <= end:
        raise ValueError("too short")
    return Stored(standing, value[at:end] if size else None, value[end:])

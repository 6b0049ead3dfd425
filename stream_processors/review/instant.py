"""Times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from sluice.errors import SluiceError
from sluice.model import Millis


def millis(written: str) -> Millis:
    """An ISO 8601 date (midnight) or time; without an offset it is UTC. Raises SluiceError."""
    try:
        moment = datetime.fromisoformat(written)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return Millis(int(aware.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise SluiceError("--at is no time such as 2027-01-01 or 2027-01-01T09:00:00+09:00.") from None


def written(at: Millis) -> str:
    """ISO 8601 in UTC; beyond the calendar, the milliseconds."""
    try:
        return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{at} ms"

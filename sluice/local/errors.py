"""What goes wrong with a local copy."""

from sluice.errors import SluiceError


class LocalError(SluiceError):
    """The local broker or registry cannot be fetched, started or stopped; the sentence says what to do."""

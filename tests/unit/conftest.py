"""What the tests of the sharing path share; nothing is timed here, for machines are shared too."""

from __future__ import annotations

import errno
import os
import tempfile

import pytest
from hypothesis import settings

from sluice.law.pack import Law
from tests.unit.installation import Installation, law
from tests.unit.lane import A, B, C, Lane

settings.register_profile(
    "untimed", parent=settings.get_profile("ci" if "CI" in os.environ else "default"), deadline=None
)
settings.load_profile("untimed")


@pytest.fixture(scope="session", name="law")
def shipped() -> Law:
    return law()


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can be made anywhere, as on a volume that is mounted so: of root a mode would not keep it."""

    def refused(*_what: object, **_more: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", refused)


@pytest.fixture
def lane() -> Lane:
    """A partition of the ordinary installation, at its first start."""
    return Lane(Installation())


@pytest.fixture
def lived(lane: Lane) -> Lane:
    """A partition with a history: A is shared, B withdrew, C was deleted, and a fourth was shared elsewhere."""
    for customer in (A, B, C, "dell-crm:4"):
        lane.update(customer, lane.installation.profile())
        lane.consent(customer, "hoshi-card" if customer != "dell-crm:4" else "adresso", "GIVEN")
    lane.step()
    lane.consent(B, "hoshi-card", "WITHDRAWN")
    lane.update(C, None)
    lane.step()
    return lane

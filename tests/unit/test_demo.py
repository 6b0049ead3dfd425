"""The demo makes its own folder anew, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.demo.command import demo
from sluice.local.errors import LocalError


def test_a_folder_that_is_not_the_demos_is_refused_and_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work", encoding="utf-8")
    with pytest.raises(LocalError, match="holds other things"):
        demo.main(["--state", str(tmp_path)], standalone_mode=False)
    assert precious.read_text(encoding="utf-8") == "years of work"

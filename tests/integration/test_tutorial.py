"""The tutorial, as a newcomer follows it: every block runs, and prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.local import ports, stack
from tests.integration.walk import Walk, missing, steps

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")


@pytest.mark.broker
@pytest.mark.timeout(900)
def test_it_is_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its two ports may be somebody else's on this machine: they are all that is changed."""
    monkeypatch.delenv("SLUICE_SETTINGS", raising=False)
    text = TUTORIAL
    for written, free in zip(("9464", "9564"), ports.choose(2), strict=True):
        text = text.replace(written, str(free))
    newcomer, scratch = tmp_path / "newcomer", tmp_path / "scratch"
    for folder in (newcomer, scratch):
        folder.mkdir()
    for name in (".venv", "deploy"):  # where `make setup` was run
        (newcomer / name).symlink_to(ROOT / name)
    walk = Walk(newcomer, scratch)
    try:
        for step in steps(text):
            walk.take(step)
        assert not (newcomer / "tutorial").exists()
    finally:
        walk.end()
        stack.delete(newcomer / "tutorial/.sluice/local")


def test_every_block_is_a_step() -> None:
    taken = list(steps(TUTORIAL))
    assert sum(bool(step.commands) for step in taken) == TUTORIAL.count("```bash")
    assert sum(step.shown is not None for step in taken) == TUTORIAL.count("```text")
    assert {step.terminal for step in taken} == {"", "second", "third"}


@pytest.mark.parametrize(
    ("shown", "printed", "absent"),
    [
        ("a … c", "a b c", []),
        ("b\na", "a\n  b", []),
        ("a\n…", "a\nb", []),
        ("", "", []),
        ("a", "a\nb", ["not shown: b"]),
        ("a\na", "a", ["a"]),
        ("a …\n…", "b a c", ["a …"]),
    ],
)
def test_what_is_shown_is_held_against_what_is_printed(shown: str, printed: str, absent: list[str]) -> None:
    assert missing(shown, printed) == absent

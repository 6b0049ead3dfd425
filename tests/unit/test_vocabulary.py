"""The purposes that contracts and consents may name."""

from __future__ import annotations

from importlib.resources import files

from sluice import vocabulary


def test_purposes_are_the_lines_of_the_vocabulary() -> None:
    lines = files("schemas").joinpath("purposes.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    assert set(listed) == set(vocabulary.purposes())
    assert len(set(listed)) == len(listed) > 50
    assert vocabulary.EVERYTHING not in vocabulary.purposes(), "a contract has one"


def test_every_purpose_lies_below_another_that_is_known() -> None:
    parents = {purpose.rpartition(".")[0] for purpose in vocabulary.purposes()} - {""}
    assert parents <= set(vocabulary.purposes())

"""The words that contracts, consents and laws may use."""

from __future__ import annotations

from importlib.resources import files

import pytest

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


def test_countries_are_the_assigned_codes() -> None:
    """ISO 3166-1 has assigned 249, and neither UK nor EU is one of them."""
    assert len(vocabulary.countries()) == 249
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in vocabulary.countries())
    assert {"JP", "GB", "GR", "SS", "XK", "UK", "EU"} & vocabulary.countries() == {"JP", "GB", "GR", "SS"}


def test_every_obligation_is_a_sentence_that_can_be_read_aloud() -> None:
    assert vocabulary.obligations()["no_resale"] == "It does not sell the data."
    for word, sentence in vocabulary.obligations().items():
        assert word.replace("_", "").isalpha(), word
        assert sentence[0].isupper(), word
        assert sentence.endswith("."), word


def test_every_data_category_lies_below_the_person_or_the_system() -> None:
    assert {category.partition(".")[0] for category in vocabulary.data_categories()} <= {"user", "system"}
    parents = {category.rpartition(".")[0] for category in vocabulary.data_categories()} - {""}
    assert parents <= set(vocabulary.data_categories())


@pytest.mark.parametrize(("code", "assigned"), [("JP", True), ("GB", True), ("NO", True), ("UK", False), ("EU", False)])
def test_countries_are_the_assigned_codes_of_iso_3166(code: str, assigned: bool) -> None:  # noqa: FBT001 - a column
    assert (code in vocabulary.countries()) is assigned
    assert len(vocabulary.countries()) == 249


def test_every_obligation_is_a_word_and_a_sentence() -> None:
    assert vocabulary.obligations()
    for word, sentence in vocabulary.obligations().items():
        assert word.replace("_", "").isalpha()
        assert " " in sentence

"""The mapping document: read strictly, and every partner in it has a contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.signals.mapping import SignalMapping, load_mapping
from sluice.consent import RecipientKind
from sluice.contract import load_contracts
from sluice.document import DocumentError

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
KINDS = {"hoshi-card": RecipientKind.PARTNER, "listmart": RecipientKind.THIRD_PARTY_SALE}


def loaded(folder: Path, text: str) -> SignalMapping:
    path = folder / "signals.yaml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path, KINDS)


def test_the_example_fits_the_contracts_of_the_demo() -> None:
    kinds = {str(partner): contract.kind for partner, (contract, _) in load_contracts(DEMO / "contracts").items()}
    mapping = load_mapping(DEMO / "signals.yaml", kinds)
    assert mapping.vendors["4001"] == "hoshi-card"
    assert mapping.categories.segment["Email"].expression == "explicit"


def test_one_purpose_may_stand_without_brackets(tmp_path: Path) -> None:
    mapping = loaded(tmp_path, "vendors: {755: listmart}\npurposes: {2: sales, 3: [sales, marketing.advertising]}\n")
    assert mapping.purposes == {"2": ["sales"], "3": ["sales", "marketing.advertising"]}


def test_a_yes_is_implied_unless_the_mapping_says_how_people_say_it(tmp_path: Path) -> None:
    mapping = loaded(tmp_path, "categories: {segment: {Ads: {purposes: sales}}}\n")
    assert mapping.categories.segment["Ads"].expression == "implied"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "vendors: {755: hoshi-cart}",
            "1:11: there is no contract of a partner `hoshi-cart`; did you mean `hoshi-card`?",
        ),
        ("vendors: {x1: hoshi-card}", "`x1` is no number from 1 to 65535"),
        ("vendors: {0: hoshi-card}", "`0` is no number from 1 to 65535"),
        ("vendors: {65536: hoshi-card}", "`65536` is no number from 1 to 65535"),
        ("purposes: {12: sales}", "`12` is no number from 1 to 11"),
        ("purposes: {2: sale}", "there is no purpose `sale`; did you mean `sales`?"),
        ("purposes: {2: []}", "at least 1 item"),
        ("vendor: {755: hoshi-card}", "there is no key `vendor` here; did you mean `vendors`?"),
        ("categories: {adobe: {}}", "there is no key `adobe` here"),
        ("categories: {segment: {Ads: {purposes: sales, expression: default}}}", "`default` is not one of"),
        (
            "categories: {segment: {Ads: {purposes: sales, partners: [listmart]}}}",
            "categories that name partners need a `notice`",
        ),
        (
            "notice: {id: n}\ncategories: {onetrust: {C4: {purposes: sales, partners: [listmat]}}}",
            "2:58: there is no contract of a partner `listmat`; did you mean `listmart`?",
        ),
    ],
)
def test_one_wrong_word_is_told_where_it_stands(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as refused:
        loaded(tmp_path, text)
    assert problem in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "signals.yaml"))

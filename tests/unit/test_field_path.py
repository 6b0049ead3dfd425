"""Field paths: the grammar, and what they find in a decoded record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.field_path import ABSENT, Entry, Item, Name, NotAPath, parse

RECORD: dict[str, Any] = {
    "email": "hanako@example.com",
    "nickname": None,
    "address": {"city": "Tokyo", "street": None},
    "loyalty": None,
    "identifiers": [
        {"scheme": "erp", "value": "1", "rank": 1, "main": True},
        {"scheme": "loyalty", "value": "2", "rank": 2, "main": False},
        {"scheme": "loyalty", "value": "3", "rank": 3, "main": False},
    ],
    "attributes": {"plan": "gold", "e-mail.kind": "html"},
    "orders": [{"id": "a", "lines": [{"sku": "x", "count": 2}]}, None],
    "homes": {"summer": {"city": "Karuizawa"}},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("email", "hanako@example.com"),
        ("address.city", "Tokyo"),
        ("identifiers[scheme=erp].value", "1"),
        ("identifiers[rank=2].value", "2"),
        ("identifiers[main=false].value", "2"),
        ("attributes[plan]", "gold"),
        ("attributes[e-mail.kind]", "html"),
        ("orders[id=a].lines[sku=x].count", 2),
        ("homes[summer].city", "Karuizawa"),
    ],
)
def test_a_path_leads_to_a_value(path: str, found: object) -> None:
    assert parse(path).find(RECORD) == found


def test_the_first_item_that_matches_counts() -> None:
    assert parse("identifiers[scheme=loyalty].value").find(RECORD) == "2"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("nickname", id="null itself"),
        pytest.param("loyalty.tier", id="null on the way"),
        pytest.param("identifiers[scheme=pos].value", id="no such item"),
        pytest.param("orders[id=b].lines[sku=x].count", id="no such item on the way; one is null"),
        pytest.param("attributes[colour]", id="no such entry"),
        pytest.param("homes[winter].city", id="no such entry on the way"),
    ],
)
def test_what_is_not_there_is_null(path: str) -> None:
    assert parse(path).find(RECORD) is None


@pytest.mark.parametrize(
    "path",
    [
        "phone",
        "address.planet",
        "email.domain",
        "identifiers.value",
        "identifiers[scheme=erp].colour",
        "email[plan]",
        "email[a=b]",
        "address[a=b]",
        "identifiers[plan]",
    ],
)
def test_what_the_record_has_no_field_for_is_absent(path: str) -> None:
    assert parse(path).find(RECORD) is ABSENT


@pytest.mark.parametrize(
    ("path", "flat"),
    [
        ("email", "email"),
        ("address.postal_code", "address_postal_code"),
        ("identifiers[scheme=loyalty].value", "identifiers_loyalty_value"),
        ("identifiers[rank=2].value", "identifiers_2_value"),
        ("attributes[plan]", "attributes_plan"),
    ],
)
def test_a_path_has_a_flat_name(path: str, flat: str) -> None:
    assert parse(path).flat == flat


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a]",
        "a[]",
        "a[b",
        "a[b]c",
        "[a]",
        "a[b][c]",
        "a[[b]]",
        "a=b",
        "a[x=1].",
        "a[b]\n",
    ],
)
def test_what_is_no_path_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(NotAPath, match="is no path; write"):
        parse(text)


words = st.text("abcxyz_09-. ", min_size=1, max_size=6)
names = st.text("abcxyz_09", min_size=1, max_size=6)


@given(st.lists(st.tuples(names, st.none() | st.tuples(names, words) | words), min_size=1, max_size=4))
def test_every_path_of_the_grammar_is_read_as_it_was_written(parts: list[tuple[str, Any]]) -> None:
    text: list[str] = []
    expected: list[object] = []
    for name, selector in parts:
        expected.append(name)
        if selector is None:
            text.append(name)
        elif isinstance(selector, str):
            text.append(f"{name}[{selector}]")
            expected.append(Entry(selector))
        else:
            text.append(f"{name}[{selector[0]}={selector[1]}]")
            expected.append(selector)
    found = [step.name if isinstance(step, Name) else step for step in parse(".".join(text)).steps]
    assert [(step.key, step.accepted[0]) if isinstance(step, Item) else step for step in found] == expected


@given(st.text("ab.[]=1", max_size=8))
def test_every_text_is_a_path_or_is_refused(text: str) -> None:
    try:
        assert parse(text).text == text
    except NotAPath:
        return

"""TCF strings: purposes and vendors, however the vendors are written, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.signals import tcf
from producers.signals.unreadable import SignalUnreadable

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Vendors whom the encoder of the Tech Lab wrote (IABTechLab/iabgpp-es, tests of 2026-08-03): consented to, disclosed.
# The last two are written as ranges. The string of the TCF specification is the first.
PUBLISHED = [
    ("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA", {2, 6, 8}, None),
    ("CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", set(), None),
    ("CPSG_8APSG_8AAAAAAENAAFgAAAAAAAAAAAAAOAAAABAAAAA.IAOABgAB.YAAAAAAAAAAA", {28}, {10, 11, 28}),
    ("CPSG_8APSG_8AAAAAAENAAFgAAAAAAAAAAAAAOwAQAOgAAAA.IAOgBgAAgAAA.YAAAAAAAAAAA", {29}, {10, 11, 29}),
    (
        "CPSG_8APSG_8AAAAAAENAAFgAAAAAAAAAAAAFpQAwAAgCtAWkAAAAAAA.IFpQBQAAwAKAAsADoArQFpAA.YAAAAAAAAAAA",
        {1, 173, 722},
        {1, 10, 11, 29, 173, 722},
    ),
]
SPECIFIED = PUBLISHED[0][0]
IDS = range(1, 1000)


def characters(bits: str) -> str:
    bits += "0" * (-len(bits) % 24)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def ranges(spans: list[tuple[int, int]], largest: int) -> str:
    """A vendor list, written as ranges."""
    items = "".join(f"0{a:016b}" if a == b else f"1{a:016b}{b:016b}" for a, b in spans)
    return f"{largest:016b}1{len(spans):012b}{items}"


def string(purposes: set[int], vendors: str, restrictions: str = f"{0:012b}", rest: str = "") -> str:
    moment = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 10)
    flags = "".join("1" if number in purposes else "0" for number in range(1, 25))
    start = f"{2:06b}{moment:036b}{moment:036b}{7:012b}{1:012b}{1:06b}{0:012b}{188:012b}{5:06b}00{0:012b}"
    return characters(f"{start}{flags}{0:024b}0{0:012b}{vendors}{0:016b}0{restrictions}") + rest


def restricted(purpose: int, kind: int, first: int, last: int) -> str:
    return f"{1:012b}{purpose:06b}{kind:02b}{1:012b}1{first:016b}{last:016b}"


def vendors_of(ids: tcf.Ids) -> set[int]:
    return {number for first, last in ids for number in range(first, last + 1)}


def refusal(text: object) -> str:
    with pytest.raises(SignalUnreadable) as refused:
        tcf.decode(text)
    return str(refused.value)


@pytest.mark.parametrize(("text", "vendors", "disclosed"), PUBLISHED)
def test_a_published_string_names_its_vendors(text: str, vendors: set[int], disclosed: set[int] | None) -> None:
    consent = tcf.decode(text)
    assert vendors_of(consent.vendors) == vendors
    assert (None if consent.disclosed is None else vendors_of(consent.disclosed)) == disclosed


def test_the_string_of_the_specification_consents_to_these_purposes() -> None:
    consent = tcf.decode(SPECIFIED)
    assert consent.purposes == {1, 2, 3}
    assert consent.vendor_list == 15
    assert consent.allows(2, 6)
    assert not consent.allows(4, 6)
    assert not consent.allows(2, 7)


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 90)), max_size=6), st.sets(st.integers(1, 24)))
def test_vendors_in_ranges_are_read_as_they_were_written(spans: list[tuple[int, int]], purposes: set[int]) -> None:
    written = [(first, first + more) for first, more in spans]
    consent = tcf.decode(string(purposes, ranges(written, 999)))
    assert consent.purposes == purposes
    assert {number for number in IDS if consent.allows(min(purposes, default=1), number)} == (
        vendors_of(tuple(written)) if purposes else set()
    )


@pytest.mark.parametrize(("kind", "counts"), [(0, False), (1, True), (2, False), (3, False)])
def test_consent_counts_unless_the_publisher_bars_it(kind: int, counts: bool) -> None:  # noqa: FBT001 - a column
    consent = tcf.decode(string({2, 3}, ranges([(700, 800)], 800), restricted(2, kind, 750, 760)))
    assert consent.allows(2, 755) is counts
    assert consent.allows(2, 749)
    assert consent.allows(3, 755)


def test_a_vendor_who_was_not_disclosed_has_no_consent() -> None:
    rest = "." + characters(f"001{ranges([(10, 20)], 20)}")
    consent = tcf.decode(string({2}, ranges([(1, 30)], 30), rest=rest))
    assert {number for number in IDS if consent.allows(2, number)} == set(range(10, 21))


@pytest.mark.parametrize("length", range(1, len(SPECIFIED) - 3))
def test_a_string_that_is_cut_off_is_refused_and_its_missing_bits_are_no_consent(length: int) -> None:
    assert refusal(SPECIFIED[:length]) in ("it is shorter than its layout", "it cannot be decoded")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DBABM~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", "it is a GPP string, where a TCF string belongs"),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "it is no TCF string of version 2"),
        ("1YNN", "it is no TCF string of version 2"),
        ("", "it is empty, or has characters that such a signal never has"),
        (SPECIFIED[:20] + " " + SPECIFIED[20:], "it is empty, or has characters that such a signal never has"),
        (SPECIFIED[:20] + "~" + SPECIFIED[20:], "a part is empty, or has characters that base64url does not have"),
        (SPECIFIED + ".", "a part is empty, or has characters that base64url does not have"),
        (SPECIFIED + "_", "it is longer than its layout"),
        (SPECIFIED + ".IFpQ", "a part is shorter than its layout"),
        (SPECIFIED + ".IAOABgAB.IAOABgAB", "it has two lists of disclosed vendors"),
        (string({1}, ranges([(9, 3)], 10)), "a range of vendors runs backwards, or beyond the largest id"),
        (string({1}, ranges([(3, 11)], 10)), "a range of vendors runs backwards, or beyond the largest id"),
        (string({1}, ranges([(0, 3)], 10)), "a range of vendors runs backwards, or beyond the largest id"),
        (None, "it is no text"),
        (["C"], "it is no text"),
    ],
)
def test_what_is_no_tcf_string_is_refused_with_a_reason(text: object, reason: str) -> None:
    assert refusal(text) == reason


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = list(draw(st.sampled_from([text for text, *_ in PUBLISHED])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(st.text(ALPHABET + ".", max_size=2))
    return "".join(text)


@given(st.one_of(mutated(), st.text(), st.text(ALPHABET + ".").map("C".__add__), st.none(), st.integers()))
def test_nothing_raises_anything_but_the_decoders_own_error(text: object) -> None:
    try:
        consent = tcf.decode(text)
    except SignalUnreadable:
        return
    assert not consent.allows(0, 0)


def test_choices_stand_in_no_representation() -> None:
    assert repr(tcf.decode(SPECIFIED)) == "TcfConsent(vendor_list=15)"

"""GPP strings: the header, each section by its layout, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.signals import gpp
from producers.signals.bits import Bits
from producers.signals.gpp import TcfSection, UnknownSection, UnreadableSection, UspSection, UsSection
from producers.signals.layouts import LAYOUTS, Field
from producers.signals.unreadable import LONGEST, SignalUnreadable
from sluice import vocabulary

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TCF = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"

# The examples of the Core specification.
SPECIFIED = {
    "DBABM": ([2], f"DBABM~{TCF}"),
    "DBACNY": ([2, 6], f"DBACNY~{TCF}~1YNN"),
    "DBABjw": ([5, 6], f"DBABjw~{TCF}~1YNN"),
}


class Published(NamedTuple):
    """A section that the Tech Lab's own encoder writes, with what it was given.

    Source: the tests of IABTechLab/iabgpp-es as of 2026-08-03.
    """

    section: int
    body: str
    opt_outs: tuple[int | None, int | None, int | None]
    """Of sale, sharing and targeted advertising."""
    sensitive: tuple[int, ...] | None
    child: tuple[int, ...] | None
    control: bool


EIGHT = (2, 1, 0, 2, 1, 0, 2, 1)
PUBLISHED = [
    Published(7, "CVVVkkkkkpFY.YA", (1, 1, 1), (2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2), (2, 1, 0), True),
    Published(7, "BAAAVVVVUQA.QA", (0, 0, 0), (1,) * 12, (1, 1), False),
    Published(7, "CAAAVVVVAFBA.QA", (0, 0, 0), (1,) * 12 + (0,) * 4, (1, 1, 0), False),
    Published(7, "CAAAVVVVVVRA.QA", (0, 0, 0), (1,) * 16, (1, 1, 1), False),
    Published(7, "BVQqAAAAAgA.QA", (2, 2, 2), (0,) * 12, (0, 0), False),
    Published(8, "BVWSSSVY.YA", (1, 1, None), (2, 1, 0, 2, 1, 0, 2, 1, 0), (2, 1), True),
    Published(8, "BbYbGwXY.YA", (1, 2, None), (0, 1, 2, 3, 0, 1, 2, 3, 0), (0, 1), True),
    Published(9, "BVWSSVY", (1, None, 1), EIGHT, (1,), False),
    Published(10, "BVWSSVg.YA", (1, None, 1), EIGHT[:7], (1,), True),
    Published(11, "BVVkklWA", (1, None, 1), EIGHT, (1,), False),
    Published(12, "BVWSSZFg.YA", (1, None, 1), EIGHT, (2, 1, 0), True),
    Published(13, "BVWSSZlY", (1, None, 1), EIGHT, (2, 1, 2), False),
    Published(14, "BVWSSZFY.YA", (1, None, 1), EIGHT, (2, 1, 0), True),
    Published(15, "BVWSSRpFYA.YA", (1, None, 1), (*EIGHT, 0, 1, 2), (2, 1, 0), True),
    Published(16, "BVWSSVWA.YA", (1, None, 1), EIGHT, (1,), True),
    Published(17, "BVWSSSSVYA.YA", (1, None, 1), (*EIGHT, 0), (2, 1, 0, 2, 1), True),
    Published(18, "BVVkklWA.YA", (1, None, 1), EIGHT, (1,), True),
    Published(19, "BVWSSVWA.YA", (1, None, 1), EIGHT, (1,), True),
    Published(20, "BVWSSZFY.YA", (1, None, 1), EIGHT, (2, 1, 0), True),
    Published(21, "BVWSSRklWA.YA", (1, None, 1), (*EIGHT, 0, 1), (2, 1, 0, 2, 1), True),
    Published(22, "BVWSSVWA.YA", (1, None, 1), EIGHT, (1,), True),
    Published(23, "BVWSSVWA.YA", (1, None, 1), EIGHT, (1,), True),
    Published(24, "BVVU.YA", (1, None, 1), None, None, True),
    Published(25, "BVVV.kkk", (1, None, 1), EIGHT, (1,), False),
    Published(26, "BVVV.kkk", (1, None, 1), EIGHT, (1,), False),
    Published(27, "BVVV.kkk", (1, None, 1), EIGHT, (1,), False),
]


def written(bits: str) -> str:
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def fibonacci(number: int) -> str:
    numbers = [1, 2]
    while numbers[-1] <= number:
        numbers.append(numbers[-1] + numbers[-2])
    code = ["0"] * len(numbers)
    for at in range(len(numbers) - 1, -1, -1):
        if numbers[at] <= number:
            number -= numbers[at]
            code[at] = "1"
    return "".join(code).rstrip("0") + "1"


def header(ids: list[int]) -> str:
    items = "".join("0" + fibonacci(new - old) for old, new in pairwise([0, *ids]))
    return written(f"{3:06b}{1:06b}{len(ids):012b}{items}")


def only(section: int, body: str) -> gpp.Section:
    (found,) = gpp.decode(f"{header([section])}~{body}")
    return found


@pytest.mark.parametrize(("start", "ids", "text"), [(start, *rest) for start, rest in SPECIFIED.items()])
def test_the_headers_of_the_specification_list_these_sections(start: str, ids: list[int], text: str) -> None:
    assert list(gpp._section_ids(start)) == ids
    assert len(gpp.decode(text)) == len(ids)


def test_the_numbers_of_the_specification_have_these_codes() -> None:
    for number, code in enumerate(["11", "011", "0011", "1011", "00011", "10011", "01011"], start=1):
        assert fibonacci(number) == code
        assert Bits(written(code)).fibonacci() == number


def test_a_range_of_the_specification_has_single_ids_and_groups() -> None:
    bits = Bits(written("0000000000100001110110011"))
    assert bits.ids() == (3, 5, 6, 7, 8)


@given(st.sets(st.integers(1, 4095), max_size=40))
def test_any_list_of_sections_is_read_as_it_was_written(ids: set[int]) -> None:
    assert gpp._section_ids(header(sorted(ids))) == tuple(sorted(ids))


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: f"{one.section} {one.body}")
def test_a_published_section_says_what_it_was_made_from(published: Published) -> None:
    found = only(published.section, published.body)
    assert isinstance(found, UsSection)
    assert found.gpc is published.control
    for name, value in zip((Field.SALE, Field.SHARING, Field.ADVERTISING), published.opt_outs, strict=True):
        assert found.values.get(name) == (None if value is None else (value,)), name
    assert found.values.get(Field.SENSITIVE) == published.sensitive
    assert found.values.get(Field.CHILD) == published.child


def test_every_us_section_has_a_published_example() -> None:
    assert {section for section, *_ in PUBLISHED} == set(LAYOUTS) == set(range(7, 28))


@pytest.mark.parametrize("section", [8, 24, 26])
def test_notices_are_read_too(section: int) -> None:
    body = next(body for number, body, *_ in PUBLISHED if number == section)
    found = only(section, body)
    assert isinstance(found, UsSection)
    assert found.value(Field.SALE_NOTICE) == 1


def test_the_longer_usnat_under_the_shorter_ones_version_is_read_by_its_length() -> None:
    found = only(7, "BVVVkkkkkpFY")
    assert isinstance(found, UsSection)
    assert len(found.values[Field.SENSITIVE]) == 16
    assert found.values[Field.CHILD] == (2, 1, 0)


@pytest.mark.parametrize("section", [24, 25, 26, 27])
def test_a_section_of_2025_is_read_with_its_own_header_and_without(section: int) -> None:
    own = written(f"{section:06b}{1:06b}{1:012b}011")
    core, second = ("BVVU", "YA") if section == 24 else ("BVVV", "kkk")
    assert only(section, f"{own}.{core}") == only(section, core)
    assert only(section, f"{own}.{core}.{second}") == only(section, f"{core}.{second}")


def test_a_header_of_2025_alone_or_of_another_version_is_unreadable() -> None:
    assert isinstance(only(26, written(f"{26:06b}{1:06b}{1:012b}011")), UnreadableSection)
    assert isinstance(only(26, written(f"{26:06b}{2:06b}{1:012b}011") + ".BVVV"), UnreadableSection)


def test_kentucky_without_its_sensitive_data_has_none() -> None:
    found = only(26, "BVVV")
    assert isinstance(found, UsSection)
    assert found.values[Field.SENSITIVE] == ()


def test_the_other_sections_are_read_or_kept_by_their_id() -> None:
    assert isinstance(only(2, TCF), TcfSection)
    assert isinstance(only(6, "1YNN"), UspSection)
    assert only(99, "anything") == UnknownSection(99)


@pytest.mark.parametrize(
    ("section", "body"),
    [
        (2, "1YNN"),
        (2, "DBABM"),  # a GPP string in the place of a TCF string
        (5, TCF),
        (5, "BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA"),
        (6, "2YNN"),
        (6, "1YXN"),
        (7, ""),
        (7, "z"),
        (7, "BAAAVVVV"),  # cut off
        (7, "DAAAVVVVVVRA"),  # a version that there is not
        (8, "BVWSSSVYAAA"),  # longer than its layout
        (8, "BVWSSSVYB"),  # bits that no field has
        (8, "BVWSSSVY.gA"),  # a subsection of type 2
        (8, "BVWSSSVY.YA.gA"),
        (8, "BVWSSSVY."),
        (26, "BVVV.kkk.YA"),
        (26, "BVVV.kk"),
    ],
)
def test_a_section_that_does_not_fit_its_layout_is_unreadable_and_hides_no_other(section: int, body: str) -> None:
    bodies = {section: body, 9: "BVWSSVY"}
    text = "~".join((header(sorted(bodies)), *(bodies[number] for number in sorted(bodies))))
    found = dict(zip(sorted(bodies), gpp.decode(text), strict=True))
    assert isinstance(found[section], UnreadableSection)
    assert isinstance(found[9], UsSection)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TCF, "it is a TCF string, where a GPP string belongs"),
        ("", "it is empty, or has characters that such a signal never has"),
        ("DBABM~jane@example.com", "it is empty, or has characters that such a signal never has"),
        ("DBABM", "its header lists another number of sections than it has"),
        ("DBABM~a~b", "its header lists another number of sections than it has"),
        ("DCABM~a", "it does not begin with a GPP header of version 1"),
        ("BBABM~a", "it does not begin with a GPP header of version 1"),
        ("DBABA", "a number in Fibonacci coding does not end"),
        ("DBAB", "a part is shorter than its layout"),
        ("DB", "a part is shorter than its layout"),
        ("DBABMB~a", "a part is longer than its layout"),
        (header([5000]) + "~a", "an id is larger than any that is assigned"),
        ("D" * (LONGEST + 1), "it is longer than 16,384 characters"),
        (7, "it is no text"),
        (None, "it is no text"),
        ({"gpp": "DBABM"}, "it is no text"),
    ],
)
def test_what_is_no_gpp_string_is_refused_with_a_reason(text: object, reason: str) -> None:
    with pytest.raises(SignalUnreadable) as refused:
        gpp.decode(text)
    assert str(refused.value) == reason


def test_a_string_without_sections_says_nothing() -> None:
    assert gpp.decode("DBAA") == ()


VALID = st.sampled_from(
    [f"{header([section])}~{body}" for section, body, *_ in PUBLISHED] + [t for _, t in SPECIFIED.values()]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = list(draw(VALID))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(st.text(ALPHABET + "~.", max_size=2))
    return "".join(text)


@given(st.one_of(mutated(), st.text(), st.text(ALPHABET + "~.+/="), st.binary().map(repr)))
def test_no_text_raises_anything_but_the_decoders_own_error(text: str) -> None:
    try:
        sections = gpp.decode(text)
    except SignalUnreadable:
        return
    assert len(sections) == text.count("~")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_json_raises_anything_but_the_decoders_own_error(value: object) -> None:
    try:
        gpp.decode(value)
    except SignalUnreadable:
        return
    assert isinstance(value, str)


def test_the_layouts_speak_of_data_categories_that_exist() -> None:
    named = {
        category for layouts in LAYOUTS.values() for layout in layouts for slot in layout.slots for category in slot
    }
    assert named - vocabulary.data_categories() == set()


def test_sensitive_fields_are_opt_outs_in_california_utah_and_iowa_alone() -> None:
    assert {layouts[0].prefix for layouts in LAYOUTS.values() if layouts[0].sensitive_opts_out} == {
        "usca",
        "usut",
        "usia",
    }


def test_values_of_a_section_stand_in_no_representation() -> None:
    assert "1" not in repr(only(6, "1YNN")).replace("UspSection", "")
    assert "values" not in repr(only(8, "BVWSSSVY.YA"))

"""Consent objects of Segment, RudderStack and OneTrust: an answer only where there is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.signals import categories
from producers.signals.unreadable import SignalUnreadable

IDS = ["ads", "mail"]
Expected = dict[str, bool | None]


def preferences(**given: object) -> dict[str, Any]:
    return {"categoryPreferences": given}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (preferences(ads=True, mail=False), {"ads": True, "mail": False}),
        ({"context": {"consent": preferences(ads=True, mail=False)}}, {"ads": True, "mail": False}),
        ({"consent": preferences(ads=True, mail=False)}, {"ads": True, "mail": False}),
        (preferences(ads=True), {"ads": True, "mail": None}),
        (preferences(), {"ads": None, "mail": None}),
        (preferences(ads="true", mail=1), {"ads": None, "mail": None}),
        (preferences(ads=None, mail=[True]), {"ads": None, "mail": None}),
        (preferences(Ads=True), {"ads": None, "mail": None}),  # another category
    ],
)
def test_segment_answers_with_booleans_alone(value: object, expected: Expected) -> None:
    assert categories.segment(value, IDS) == expected


@pytest.mark.parametrize(
    "value",
    [None, True, "ads", [], {}, {"ads": True}, {"context": {}}, {"context": None}, {"consent": {"ads": True}}]
    + [{"categoryPreferences": other} for other in (None, True, ["ads"], "ads")],
)
def test_an_event_of_segment_without_its_consent_object_is_unreadable(value: object) -> None:
    with pytest.raises(SignalUnreadable):
        categories.segment(value, IDS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"allowedConsentIds": ["ads"], "deniedConsentIds": ["mail"]}, {"ads": True, "mail": False}),
        ({"allowedConsentIds": ["ads"]}, {"ads": True, "mail": None}),
        ({"allowedConsentIds": [], "deniedConsentIds": []}, {"ads": None, "mail": None}),
        ({"allowedConsentIds": ["ads", "mail"], "deniedConsentIds": ["mail"]}, {"ads": True, "mail": None}),
        (
            {
                "context": {
                    "consentManagement": {
                        "provider": "oneTrust",
                        "resolutionStrategy": "or",
                        "allowedConsentIds": ["ads"],
                        "deniedConsentIds": ["mail"],
                    }
                }
            },
            {"ads": True, "mail": False},
        ),
    ],
)
def test_rudderstack_answers_with_two_lists(value: object, expected: Expected) -> None:
    assert categories.rudderstack(value, IDS) == expected


@pytest.mark.parametrize(
    "value",
    [None, "ads", [], {}, {"context": {}}, {"consentManagement": None}, {"deniedConsentIds": ["ads"]}]
    + [{"allowedConsentIds": other} for other in (None, "ads", {"ads": True}, [1], [None])]
    + [{"allowedConsentIds": ["ads"], "deniedConsentIds": other} for other in (None, "mail", [["mail"]])]
    + [{"allowedConsentIds": ["ads"], "resolutionStrategy": other} for other in ("any", 1, ["and"])],
)
def test_a_malformed_object_of_rudderstack_is_unreadable(value: object) -> None:
    with pytest.raises(SignalUnreadable):
        categories.rudderstack(value, IDS)


COOKIE = "isGpcEnabled=0&datestamp=Mon+Jan+05+2026&version=202501.1.0&groups=C0001%3A1%2CC0004%3A0&geolocation=US%3BCA"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("C0001:1,C0004:0", {"C0001": True, "C0004": False}),
        ("C0001%3A1%2CC0004%3A0", {"C0001": True, "C0004": False}),
        (COOKIE, {"C0001": True, "C0004": False}),
        ("C0001:1", {"C0001": True, "C0004": None}),
        ("C0001:1,C0001:0,C0004:1", {"C0001": None, "C0004": True}),
        (",C0001,C0002,", {"C0001": True, "C0004": None}),
        ({"consentedGroups": ",C0001,", "deniedGroups": ",C0004,"}, {"C0001": True, "C0004": False}),
        ({"consentedGroups": ["C0001"], "deniedGroups": ["C0004", "C0001"]}, {"C0001": None, "C0004": False}),
        ({"consentedGroups": ["C0001"]}, {"C0001": True, "C0004": None}),
    ],
)
def test_onetrust_answers_in_several_ways(value: object, expected: Expected) -> None:
    assert categories.onetrust(value, ["C0001", "C0004"]) == expected


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "C0001:1,C0004:2", "C0001:1;C0004:0", "C0001=1", "version=1&x=2", "a" * 20_000, 1, ["C0001"], {}]
    + [{"consentedGroups": other} for other in (None, 1, "C0001:1", [1])],
)
def test_malformed_groups_of_onetrust_are_unreadable(value: object) -> None:
    with pytest.raises(SignalUnreadable):
        categories.onetrust(value, ["C0001", "C0004"])


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (COOKIE, False),
        (COOKIE.replace("isGpcEnabled=0", "isGpcEnabled=1"), True),
        ("groups=C0001%3A1&isGpcEnabled=1", True),
        ("C0001:1", False),
        ({"isGpcEnabled": 1}, False),
    ],
)
def test_the_cookie_of_onetrust_tells_of_global_privacy_control(value: object, seen: bool) -> None:  # noqa: FBT001
    assert categories.onetrust_saw_gpc(value) is seen


NAMES = ("context", "consent", "consentManagement", "categoryPreferences", "allowedConsentIds", "deniedConsentIds")
KEYS = st.sampled_from([*NAMES, "consentedGroups", "resolutionStrategy", *IDS])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(IDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("decode", [categories.segment, categories.rudderstack, categories.onetrust])
@given(value=JSON)
def test_no_object_raises_anything_but_the_decoders_own_error(decode: Any, value: object) -> None:  # noqa: ANN401
    try:
        answers = decode(value, IDS)
    except SignalUnreadable:
        return
    assert list(answers) == IDS
    assert set(answers.values()) <= {True, False, None}


@given(value=JSON)
def test_nobody_is_said_to_agree_whose_category_is_not_there(value: object) -> None:
    for decode in (categories.segment, categories.rudderstack, categories.onetrust):
        try:
            assert decode(value, ["nowhere"]) == {"nowhere": None}
        except SignalUnreadable:
            continue

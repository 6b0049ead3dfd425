"""A row of signals to consent events: what each signal means, and that silence is never made of what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.encoding import CONSENTS, Encoded, Encoder, nothing_filled
from producers.signals.layouts import LAYOUTS
from producers.signals.mapping import SignalMapping
from producers.signals.reading import READERS
from producers.signals.rows import Terms, encoded_signals, read_row
from producers.signals.statement import categories
from schemas import catalogue
from sluice.avro import Reader, unframe
from sluice.consent import ConsentEvent, RecipientKind, parse_event
from sluice.files.rows import Read, Refused
from sluice.model import CustomerId, Millis

CONSENT = catalogue.text("consent_event")
RECEIVED = "2026-01-01T00:00:00Z"
MILLIS = 1_767_225_600_000
SALE, SHARING, ADS = "sales", "third_party_sharing", "marketing.advertising"
MAPPING = SignalMapping.model_validate(
    {
        "vendors": {"173": "hoshi-card", "722": "listmart"},
        "purposes": {"2": [ADS], "7": ["analytics.reporting"]},
        "notice": {"id": "banner", "version": "3"},
        "categories": {
            "segment": {
                "Ads": {"purposes": [ADS], "partners": ["listmart"], "expression": "opt_in"},
                "Mail": {"purposes": ["marketing.communications.email"], "partners": ["hoshi-card"]},
            },
            "rudderstack": {"ads": {"purposes": [ADS, SALE]}},
            "onetrust": {"C0004": {"purposes": [ADS], "partners": ["hoshi-card", "listmart"]}},
        },
    }
)
KINDS = {"hoshi-card": RecipientKind.PARTNER, "listmart": RecipientKind.THIRD_PARTY_SALE}
VENDORS = "CPSG_8APSG_8AAAAAAENAAFgAAAAAAAAAAAAFpQAwAAgCtAWkAAAAAAA"
"""Vendors 1, 173 and 722, and no purpose."""
AGREED = VENDORS.replace("AAFgAAAAAAAAAAAAFpQ", "AAFgAEAAAAAAAAAAFpQ")
"""The same with purpose 2."""


def encoder(source: str | None = None) -> Encoder:
    return Encoder(CONSENTS, 9, CONSENT, nothing_filled, source)


def terms(mapping: SignalMapping = MAPPING, source: str | None = None) -> Terms:
    return Terms(mapping, KINDS, encoder(source).reader.customer)


def row(**signals: object) -> dict[str, Any]:
    return {"subject_id": "crm:1", "received_at": RECEIVED, **signals}


def told(content: Mapping[str, Any], by: Terms | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The events of a row, and its problems."""
    outcomes = list(read_row(5, content, by or terms()))
    problems = [outcome.sentence for outcome in outcomes if isinstance(outcome, Refused)]
    return [outcome for outcome in outcomes if not isinstance(outcome, Refused)], problems


def said(content: Mapping[str, Any]) -> list[str]:
    """The events in short: purpose, state, partner, data if not all, how if it is a grant."""
    events, _ = told(content)
    return [" ".join(_words(event)) for event in events]


def _words(event: Mapping[str, Any]) -> Iterator[str]:
    yield f"{event['purpose']} {event['state']}"
    if event["recipient_scope"]:
        yield f"to {','.join(event['recipient_scope']['partner_ids'])}"
    if event["data_scope"] != ["*"]:
        yield f"of {','.join(event['data_scope'])}"
    if event["state"] == "GIVEN":
        yield f"by {event['actor']} as {event['expression']}"


def parsed(content: Mapping[str, Any], by: Terms | None = None) -> list[ConsentEvent]:
    """The events as the processor reads them from the topic."""
    rows = list(encoded_signals([Read(5, content)], by or terms(), encoder()))
    decoded = [(one.key, Reader(CONSENT).read(unframe(one.value)[1])) for one in rows if isinstance(one, Encoded)]
    return [parse_event(record, CustomerId(key.decode()), Millis(MILLIS)) for key, record in decoded]


CONTROL = [f"{purpose} OPTED_OUT" for purpose in (SALE, SHARING, ADS)]
RACE, BELIEF, HEALTH = "user.demographic.race_ethnicity", "user.demographic.religious_belief", "user.health_and_medical"
BIOMETRIC, IMMIGRATION = "user.authorization.biometric,user.biometric", "user.government_id.immigration"
CHILD = "* {} of user.childrens"
USNAT = 7
NOT_ASKED = {
    version: f"* UNKNOWN of {','.join(categories(layout.slots))}" for version, layout in enumerate(LAYOUTS[USNAT], 1)
}
"""What zeros about sensitive data mean in usnat, by its version."""

# Sections as the encoder of the Tech Lab writes them (see test_signals_gpp.py), and single fields of them.
MEANINGS: list[tuple[str, dict[str, object], list[str]]] = [
    ("GPC is an opt-out of sale, sharing and advertising", {"gpc": "1"}, CONTROL),
    ("GPC as the browser's property", {"gpc": True}, CONTROL),
    ("any other value of GPC is no signal", {"gpc": "0"}, []),
    ("GPC in words is no signal", {"gpc": "true"}, []),
    ("a GPC that was not sent is no signal", {"gpc": None, "usp": "1YYN"}, [f"{SALE} OPTED_OUT"]),
    ("USP: opted out of sale", {"usp": "1YYN"}, [f"{SALE} OPTED_OUT"]),
    ("USP: opted out, whatever the notice", {"usp": "1nyn"}, [f"{SALE} OPTED_OUT"]),
    ("USP: told, and did not opt out", {"usp": "1YNN"}, [f"{SALE} GIVEN by signal as default"]),
    ("USP: not told, and did not opt out", {"usp": "1NNN"}, [f"{SALE} UNKNOWN"]),
    ("USP: does not apply", {"usp": "1---"}, [f"{SALE} UNKNOWN"]),
    ("USP: unreadable", {"usp": "1Y"}, [f"{SALE} UNKNOWN"]),
    ("GPP: the US Privacy string as a section", {"gpp": "DBABTA~1YYN"}, [f"{SALE} OPTED_OUT"]),
    ("GPP: no sections", {"gpp": "DBAA"}, []),
    ("GPP: a section that nobody knows", {"gpp": "DBABJD~xyz"}, []),
    (
        "usnat: told three times, never opted out",
        {"gpp": "DBABLA~BVQqAAAAAgA.QA"},
        [*(f"{purpose} GIVEN by signal as default" for purpose in (SALE, SHARING, ADS)), NOT_ASKED[1]],
    ),
    (
        "usnat: zeros are no permission",
        {"gpp": "DBABLA~CAAAAAAAAABA.QA"},
        [*(f"{p} UNKNOWN" for p in (SALE, SHARING, ADS)), NOT_ASKED[2]],
    ),
    (
        "usnat: with the GPC subsection",
        {"gpp": "DBABLA~BVQqAAAAAgA.YA"},
        [*(f"{purpose} GIVEN by signal as default" for purpose in (SALE, SHARING, ADS)), NOT_ASKED[1], *CONTROL],
    ),
    (
        "usco: opted out; consents by kind of data; a known child without consent; GPC",
        {"gpp": "DBABJg~BVWSSVg.YA"},
        [
            f"{SALE} OPTED_OUT",
            f"{ADS} OPTED_OUT",
            f"* UNKNOWN of user.genetic,{HEALTH},{HEALTH}.genetic",
            f"* REFUSED of user.demographic.citizenship,{BELIEF},{IMMIGRATION}",
            f"* GIVEN of {BIOMETRIC},{RACE},user.demographic.sexual_orientation by subject as opt_in",
            CHILD.format("REFUSED"),
            *CONTROL,
        ],
    ),
    (
        "usut: the same numbers are opt-outs there",
        {"gpp": "DBABFg~BVVkklWA"},
        [
            f"{SALE} OPTED_OUT",
            f"{ADS} OPTED_OUT",
            f"* UNKNOWN of user.demographic.sexual_orientation,user.genetic,{HEALTH}.genetic",
            f"* LIMITED of {BELIEF},{HEALTH},user.location.precise",
            f"* GIVEN of {BIOMETRIC},user.demographic.citizenship,{RACE},{IMMIGRATION} by signal as default",
            CHILD.format("REFUSED"),
        ],
    ),
    (
        "TCF: consent to purpose 2 and both vendors, not to purpose 7",
        {"tcf": AGREED},
        [
            f"{ADS} GIVEN to hoshi-card by subject as opt_in",
            f"{ADS} GIVEN to listmart by subject as opt_in",
            "analytics.reporting REFUSED to hoshi-card",
            "analytics.reporting REFUSED to listmart",
        ],
    ),
    (
        "TCF in GPP",
        {"gpp": f"DBABM~{AGREED}"},
        [
            f"{ADS} GIVEN to hoshi-card by subject as opt_in",
            f"{ADS} GIVEN to listmart by subject as opt_in",
            "analytics.reporting REFUSED to hoshi-card",
            "analytics.reporting REFUSED to listmart",
        ],
    ),
    (
        "TCF: consent to vendors alone is none",
        {"tcf": VENDORS},
        [f"{p} REFUSED to {v}" for p in (ADS, "analytics.reporting") for v in ("hoshi-card", "listmart")],
    ),
    (
        "TCF: unreadable",
        {"tcf": "DBAA"},
        [f"{p} UNKNOWN to {v}" for p in (ADS, "analytics.reporting") for v in ("hoshi-card", "listmart")],
    ),
    (
        "Segment: yes and no",
        {"segment": {"categoryPreferences": {"Ads": True, "Mail": False, "Other": True}}},
        [
            f"{ADS} GIVEN to listmart by subject as opt_in",
            "marketing.communications.email REFUSED to hoshi-card",
        ],
    ),
    (
        "Segment: missing, and no boolean",
        {"segment": {"categoryPreferences": {"Ads": "yes"}}},
        [f"{ADS} UNKNOWN to listmart", "marketing.communications.email UNKNOWN to hoshi-card"],
    ),
    (
        "Segment: no consent object on the event",
        {"segment": None},
        [f"{ADS} UNKNOWN to listmart", "marketing.communications.email UNKNOWN to hoshi-card"],
    ),
    (
        "Segment: a yes is implied where the mapping does not say more",
        {"segment": {"categoryPreferences": {"Ads": False, "Mail": True}}},
        [
            f"{ADS} REFUSED to listmart",
            "marketing.communications.email GIVEN to hoshi-card by subject as implied",
        ],
    ),
    (
        "RudderStack: a no to everybody",
        {"rudderstack": {"allowedConsentIds": [], "deniedConsentIds": ["ads"]}},
        [f"{ADS} REFUSED", f"{SALE} REFUSED"],
    ),
    ("RudderStack: malformed", {"rudderstack": []}, [f"{ADS} UNKNOWN", f"{SALE} UNKNOWN"]),
    (
        "OneTrust: a cookie with GPC",
        {"onetrust": "isGpcEnabled=1&groups=C0001%3A1%2CC0004%3A0"},
        [f"{ADS} REFUSED to hoshi-card", f"{ADS} REFUSED to listmart", *CONTROL],
    ),
    ("OneTrust: unreadable", {"onetrust": "?"}, [f"{ADS} UNKNOWN to hoshi-card", f"{ADS} UNKNOWN to listmart"]),
]


@pytest.mark.parametrize(("signals", "expected"), [case[1:] for case in MEANINGS], ids=[case[0] for case in MEANINGS])
def test_a_signal_means(signals: dict[str, object], expected: list[str]) -> None:
    assert said(row(**signals)) == expected
    assert len(parsed(row(**signals))) == len(expected)


def texas(*, notice: int = 0, sensitive: int = 0, child: int = 0) -> str:
    """A GPP string of `ustx`, or with the same fields and one notice more, of `usut`."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    notices, head, end = ("000000", "DBABEw", "000000") if not notice else (f"000000{notice:02b}", "DBABFg", "0000")
    bits = f"{1:06b}{notices}0000{sensitive:02b}{0:014b}{child:02b}{end}"
    bits += "0" * (-len(bits) % 6)
    return f"{head}~" + "".join(alphabet[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        (0, []),
        (1, ["REFUSED"]),
        (2, ["REQUESTED", "GIVEN of user.childrens by guardian as opt_in"]),
        (3, ["UNKNOWN"]),
    ],
)
def test_a_known_child_is_told_of_by_any_answer(child: int, expected: list[str]) -> None:
    found = [words for words in said(row(gpp=texas(child=child))) if "childrens" in words]
    assert found == [f"* {words}" if " " in words else CHILD.format(words) for words in expected]


@pytest.mark.parametrize("body", ["DBABUw~BVWSSSSVYA", "DBABBg~BVWSSTVY"])
def test_of_several_answers_about_a_child_the_most_restrictive_counts(body: str) -> None:
    """Delaware's entries 2, 1, 0, 2, 1; California's 3, 1."""
    assert [words for words in said(row(gpp=body)) if "childrens" in words] == [CHILD.format("REFUSED")]


@pytest.mark.parametrize(("notice", "expected"), [(1, "GIVEN"), (2, "UNKNOWN")])
def test_not_opting_out_of_sensitive_data_counts_only_after_notice(notice: int, expected: str) -> None:
    (found,) = (words for words in said(row(gpp=texas(notice=notice, sensitive=2))) if f" of {RACE}" in words)
    assert found.startswith(f"* {expected} of {RACE}")


def test_a_signal_that_says_the_same_twice_is_one_event() -> None:
    """Global Privacy Control, in the sections of California and of Colorado."""
    events, _ = told(row(gpp="DBACBm~BVWSSSVY.YA~BVWSSVg.YA"))
    assert [event["purpose"] for event in events if event["signal"]["type"] == "gpc"] == [SALE, SHARING, ADS]


def test_a_gpp_string_that_cannot_be_read_is_a_question_about_everything_it_may_say() -> None:
    words = said(row(gpp="DBABLA"))
    assert {word.split()[1] for word in words} == {"UNKNOWN"}
    assert {word.split()[0] for word in words} == {SALE, SHARING, ADS, "*", "analytics.reporting"}
    (sensitive,) = (word for word in words if HEALTH in word)
    for data in (RACE, "user.biometric", "user.location.precise", "user.financial.credit_card"):
        assert data in sensitive


def test_one_unreadable_section_is_a_question_about_what_it_may_say_and_the_others_count() -> None:
    """A section of usnat that is cut off, and one of Virginia."""
    content = row(gpp="DBACLM~CVVV~BVWSSVY")
    assert told(content)[1] == [
        "`gpp` cannot be read, published as unknown: section 7: a part is shorter than its layout."
    ]
    words = said(content)
    assert [word for word in words if "of" not in word] == [
        *(f"{purpose} UNKNOWN" for purpose in (SALE, SHARING, ADS)),
        *(f"{purpose} OPTED_OUT" for purpose in (SALE, ADS)),
    ]
    assert CHILD.format("UNKNOWN") in words
    assert CHILD.format("REFUSED") in words


def test_an_unreadable_section_might_have_held_global_privacy_control() -> None:
    """Maryland's section knows of no sharing, but the signal does."""
    assert said(row(gpp="DBABEY~z")) == [f"{purpose} UNKNOWN" for purpose in (SALE, SHARING, ADS)]


def test_an_unreadable_signal_is_told_with_its_line_and_nothing_of_it() -> None:
    outcomes = list(read_row(5, row(tcf="jane@example.com", gpc="1"), terms()))
    (problem,) = (outcome for outcome in outcomes if isinstance(outcome, Refused))
    assert problem.line == 5
    assert problem.sentence == (
        "`tcf` cannot be read, published as unknown: it is empty, or has characters that such a signal never has."
    )
    assert "jane" not in repr(outcomes)


def test_a_signal_whose_mapping_is_missing_is_told() -> None:
    events, problems = told(row(tcf=AGREED, segment={}, gpc="1"), terms(SignalMapping()))
    assert [event["collection_method"] for event in events] == ["gpc"] * 3
    assert problems == [
        "`tcf` cannot be read, nothing is published of it: the mapping does not say what it means.",
        "`segment` cannot be read, nothing is published of it: the mapping does not say what it means.",
    ]


def test_a_global_privacy_control_signal_is_one_to_the_processor_wherever_it_was_found() -> None:
    for signals in ({"gpc": "1"}, {"gpp": "DBABLA~BVQqAAAAAgA.YA"}, {"onetrust": "isGpcEnabled=1&groups=C0004%3A0"}):
        assert [event.purpose for event in parsed(row(**signals)) if event.is_gpc] == [SALE, SHARING, ADS]


def test_a_grant_names_its_partner_in_the_notice_and_a_refusal_needs_none() -> None:
    granted, _, refused, _ = told(row(tcf=AGREED))[0]
    assert granted["notice"] == {
        "id": "iab-tcf",
        "version": "0",
        "names_recipients": ["hoshi-card"],
        "covers_purposes": [ADS],
        "covers_categories": ["*"],
    }
    assert granted["recipient_scope"] == {"category": "partner", "partner_ids": ["hoshi-card"]}
    assert granted["signal"] == {"type": "tcf", "raw": AGREED}
    assert (refused["notice"], refused["expression"], refused["actor"]) == (None, "opt_out_signal", "signal")


def test_not_opting_out_has_its_basis_and_its_jurisdiction() -> None:
    (event,) = told(row(usp="1YNN"))[0]
    assert (event["lawful_basis"], event["jurisdiction"]) == ("ccpa_not_opted_out", "US-CA")


def test_a_signal_is_kept_as_evidence_only_if_all_of_it_was_read() -> None:
    assert {event["signal"]["raw"] for event in told(row(gpp="DBABTA~1YYN"))[0]} == {"DBABTA~1YYN"}
    assert {event["signal"]["raw"] for event in told(row(gpp="DBACNY~Jane.Doe~1YYN"))[0]} == {None}
    assert {event["signal"]["raw"] for event in told(row(segment={"Jane": True}))[0]} == {None}


def test_publishing_a_row_again_gives_the_same_events_to_the_byte() -> None:
    content = row(gpc="1", gpp="DBABJg~BVWSSVg.YA", tcf=AGREED, segment=None)
    first, second = (list(encoded_signals([Read(1, content)], terms(), encoder())) for _ in range(2))
    assert first == second
    assert told({**content, "received_at": MILLIS}) == told(content)


def test_events_differ_when_customer_time_or_answer_does() -> None:
    contents = [row(gpc="1"), row(usp="1YYN"), row(usp="1NYN"), row(gpp="DBABTA~1YYN")]
    contents += [{**row(gpc="1"), "subject_id": "crm:2"}, {**row(gpc="1"), "received_at": MILLIS + 1}]
    ids = [event["record_id"] for content in contents for event in told(content)[0]]
    assert len(ids) == len(set(ids)) == 12


def test_the_source_is_part_of_the_customer_in_the_key_and_in_the_events_id() -> None:
    short, whole = ({**row(gpc="1"), "subject_id": name} for name in ("1", "crm:1"))
    assert told(short, terms(source="crm")) == told(whole, terms(source="crm")) == told(whole)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"received_at": RECEIVED, "gpc": "1"}, "`subject_id` is missing, or is no text."),
        ({"subject_id": " ", "received_at": RECEIVED, "gpc": "1"}, "`subject_id` is empty."),
        ({"subject_id": "1", "gpc": "1"}, "`received_at` has to be a time with its offset"),
        ({"subject_id": "1", "received_at": "2026-01-01T00:00:00", "gpc": "1"}, "`received_at` has to be a time"),
        ({"subject_id": "1", "received_at": RECEIVED}, "The row has no signal; there are gpc, gpp, tcf, usp"),
        (
            {**row(gpc="1"), "segmnt": {}},
            "There is a field that a row of signals does not have; did you mean `segment`?",
        ),
        ({**row(gpc="1"), "jane@example.com": "1"}, "There is a field that a row of signals does not have."),
    ],
)
def test_a_row_that_is_no_row_of_signals_is_refused_whole(content: dict[str, Any], problem: str) -> None:
    events, (found,) = told(content)
    assert events == []
    assert found.startswith(problem)


def test_a_row_that_could_not_be_read_stays_refused() -> None:
    refused = Refused(3, "The line is not valid JSON.")
    assert list(encoded_signals([refused], terms(), encoder())) == [refused]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([AGREED, "DBABTA~1YYN", "1", "Ads"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["categoryPreferences", "Ads"]), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*READERS, "subject_id", "received_at", "x"]), JSON, max_size=5))
def test_any_row_becomes_events_that_the_processor_understands_or_problems(signals: dict[str, Any]) -> None:
    for content in (signals, row(**{name: value for name, value in signals.items() if name in READERS})):
        events = parsed(content)
        outcomes = list(encoded_signals([Read(5, content)], terms(), encoder()))
        assert len(events) == sum(isinstance(outcome, Encoded) for outcome in outcomes)


@given(st.sampled_from(sorted(READERS.keys() - {"gpc"})), JSON)
def test_a_signal_is_never_silence(name: str, value: object) -> None:
    """Only strings that were not sent, and a GPP string that lists no section, say nothing."""
    events, problems = told(row(**{name: value}))
    absent = value is None and name in ("gpp", "tcf", "usp")
    assert bool(events or problems) is not absent

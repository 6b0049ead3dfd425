"""The lawyer's checklist: each row of `tests/scenarios/decisions.md` is decided by the law packs that are shipped.

The file explains its own words; a word that it does not explain is refused here with its line and the nearest one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from sluice import vocabulary
from sluice.consent import (
    Actor,
    Channel,
    ConsentEvent,
    ConsentRecord,
    Expression,
    Notice,
    RecipientKind,
    RecipientScope,
    Signal,
    SignalType,
    State,
)
from sluice.decision import Customer, Denied, decide
from sluice.document import nearest
from sluice.facts import Facts
from sluice.law.loading import shipped_law
from sluice.model import Millis, PartnerId, Reason
from sluice.terms import Terms

CHECKLIST = Path(__file__).parents[1] / "scenarios" / "decisions.md"
COLUMNS = (
    "#", "lives in", "age", "recipient", "purpose", "data", "contract proves", "what the customer said", "answer",
    "because", "rules",
)  # fmt: skip
AT_LEAST = 150

LAW = shipped_law(source_priority=("preference-centre", "crm"))
DAY_MS = 24 * 60 * 60 * 1000
EPOCH, START = date(1970, 1, 1), date(2026, 1, 1)
TODAY, LAST_DAY = 300, 730
FAR_AWAY = Millis(100_000 * DAY_MS)
"""Later than any law's date: what does not hold then waits for a toggle."""

KINDS = {
    "service provider": RecipientKind.PROCESSOR,
    "same-brand company": RecipientKind.AFFILIATE_SAME_BRAND,
    "other-brand company": RecipientKind.AFFILIATE_OTHER_BRAND,
    "partner": RecipientKind.PARTNER,
    "data buyer": RecipientKind.THIRD_PARTY_SALE,
}
ALL_OF_A_KIND = {
    "all service providers": RecipientKind.PROCESSOR,
    "all same-brand companies": RecipientKind.AFFILIATE_SAME_BRAND,
    "all other-brand companies": RecipientKind.AFFILIATE_OTHER_BRAND,
    "all partners": RecipientKind.PARTNER,
    "all data buyers": RecipientKind.THIRD_PARTY_SALE,
}
PARTNERS = {name: name for name in ("hoshi-card", "adresso", "listmart")}
BRANDS = {name: name for name in ("hoshi", "kaze")}
PLACES: Mapping[str, str | None] = {
    code: code for code in (*vocabulary.countries(), *LAW.packs, *(c for s in LAW.subdivisions.values() for c in s))
} | {"unknown": None, "unreadable": "?", "unreadable US state": "US-XX"}
PURPOSES = {purpose: purpose for purpose in vocabulary.purposes()}
CATEGORIES = {category: category for category in vocabulary.data_categories()}
RULES = {rule.id: rule for pack in LAW.packs.values() for rule in pack.rules}
REASONS = {reason.value: reason for reason in Reason}
SUSPENDED = {"restricted": {"restricted": True}, "deceased": {"deceased": True}}

GRANT = {"state": State.GIVEN, "data_scope": (vocabulary.EVERYTHING,)}
NO = {"expression": Expression.EXPLICIT}
ACTS: Mapping[str, Mapping[str, Any]] = {
    "explicit opt-in": GRANT | {"expression": Expression.EXPLICIT},
    "opt-in": GRANT | {"expression": Expression.OPT_IN},
    "implied": GRANT | {"expression": Expression.IMPLIED},
    "default": GRANT | {"expression": Expression.DEFAULT},
    "renewal": GRANT | {"state": State.RENEWED, "expression": Expression.OPT_IN},
    "refusal": NO | {"state": State.REFUSED},
    "withdrawal": NO | {"state": State.WITHDRAWN},
    "revocation": NO | {"state": State.REVOKED, "actor": Actor.AUTHORITY},
    "objection": NO | {"state": State.OBJECTED},
    "opt-out": NO | {"state": State.OPTED_OUT},
    "limit": NO | {"state": State.LIMITED},
    "asked": NO | {"state": State.REQUESTED, "actor": Actor.CONTROLLER},
    "put off": NO | {"state": State.DEFERRED},
    "expiry": NO | {"state": State.EXPIRED, "actor": Actor.CONTROLLER},
    "invalidation": NO | {"state": State.INVALIDATED, "actor": Actor.CONTROLLER},
    "unreadable answer": {"state": State.UNKNOWN, "expression": Expression.DEFAULT},
    "GPC signal": {
        "state": State.OPTED_OUT,
        "expression": Expression.OPT_OUT_SIGNAL,
        "actor": Actor.SIGNAL,
        "signal": Signal(SignalType.GPC),
        "purpose": "third_party_sharing",
    },
}
UNREADABLE_EVENT = "unreadable event"
PLAIN_DETAILS: Mapping[str, Mapping[str, Any]] = {
    "confirmed": {"confirmed": True},
    "acknowledges GPC": {"gpc_conflict_ack": True},
    "read from GPP": {"signal": Signal(SignalType.GPP)},
}

T = TypeVar("T")


class NotUnderstood(ValueError):
    """A row says something that this reader does not know: `decisions.md:line: problem; did you mean x?`."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    chapter: str
    cells: Mapping[str, str]

    def listed(self, column: str) -> list[str]:
        """What stands in a cell, at its commas; `-` means nothing."""
        return [] if self.cells[column] == "-" else self.cells[column].split(", ")

    def one_of(self, valid: Mapping[str, T], word: str, what: str, *, beside: Iterable[str] = ()) -> T:
        """`beside`: words that may stand here in another way; they are only named."""
        if word not in valid:
            near = nearest(word, (*valid, *beside))
            raise NotUnderstood(f"{CHECKLIST.name}:{self.line}: there is no {what} `{word}`{near}")
        return valid[word]

    def matched(self, pattern: str, written: str, example: str) -> re.Match[str]:
        found = re.fullmatch(pattern, written)
        if found is None:
            raise NotUnderstood(f"{CHECKLIST.name}:{self.line}: `{written}` is not said like `{example}`")
        return found

    def day(self, written: str) -> Millis:
        return instant(int(self.matched(r"day (-?\d+)", written, "day 10")[1]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a partner may hold, or why not, and the rules that say so."""

    fields: tuple[str, ...]
    reason: Reason | None
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    terms: Terms
    customer: Customer
    now: Millis
    expected: Outcome

    def outcome(self) -> Outcome:
        answer = decide(self.terms, LAW, self.customer, self.now)
        if isinstance(answer, Denied):
            return Outcome((), answer.reason, answer.rules)
        return Outcome(answer.fields, None, answer.rules)


# --- the file


def rows(text: str) -> Iterator[Row]:
    chapter = ""
    for line, written in enumerate(text.splitlines(), 1):
        cells = tuple(cell.strip() for cell in written.strip().strip("|").split("|"))
        if written.startswith("## "):
            chapter = written.removeprefix("## ")
        elif written.startswith("|") and cells != COLUMNS and set("".join(cells)) != {"-"}:
            if len(cells) != len(COLUMNS):
                raise NotUnderstood(f"{CHECKLIST.name}:{line}: {len(cells)} cells instead of {len(COLUMNS)}")
            yield Row(line, chapter, dict(zip(COLUMNS, cells, strict=True)))


def scenario(row: Row) -> Scenario:
    number = row.matched(r"\d+\.\d+", row.cells["#"], "1.1")[0]
    terms = terms_of(row)
    said = [] if row.cells["what the customer said"] == "-" else row.cells["what the customer said"].split("; ")
    today = said.pop() if said and said[-1].startswith("today") else f"today is day {TODAY}"
    return Scenario(
        name=f"{row.chapter} {number}",
        terms=terms,
        customer=customer_of(row, terms.purpose, said),
        now=row.day(row.matched(r"today is (day .+)", today, "today is day 20")[1]),
        expected=expected_of(row, terms),
    )


def expected_of(row: Row, terms: Terms) -> Outcome:
    rules = tuple(sorted(row.listed("rules")))
    for rule in rules:
        row.one_of(RULES, rule, "rule")
    if row.cells["answer"] == "refused":
        return Outcome((), row.one_of(REASONS, row.cells["because"], "reason"), rules)
    fields = row.matched(r"shared(?:: (.+))?", row.cells["answer"], "shared: user.name.first")[1]
    row.matched("-", row.cells["because"], "-")
    named = tuple(terms.categories) if fields is None else tuple(fields.split(", "))
    return Outcome(tuple(row.one_of(terms.categories, field, "field in this contract") for field in named), None, rules)


# --- the contract


def terms_of(row: Row) -> Terms:
    recipient, *period = row.listed("recipient")
    kind, country = row.matched("(.+) in (.+)", recipient, "partner in JP").groups()
    days = {"from": instant(0), "until": instant(LAST_DAY)} | dict(_limit(row, one) for one in period)
    proofs = row.listed("contract proves")
    alternatives = [one.removeprefix("switched on ") for one in proofs if one.startswith("switched on ")]
    return Terms(
        partner=PartnerId("hoshi-card"),
        kind=row.one_of(KINDS, kind, "kind of recipient"),
        purpose=row.one_of(PURPOSES, row.cells["purpose"], "purpose"),
        brand="hoshi",
        valid_from=days["from"],
        valid_until=days["until"],
        categories={row.one_of(CATEGORIES, one, "data category"): one for one in row.listed("data")},
        country=row.one_of(PLACES, country, "country") or "",
        evidence=frozenset(
            row.one_of(LAW.evidence_words, one, "proof") for one in proofs if not one.startswith("switched on ")
        ),
        alt_basis=frozenset(
            row.one_of({a: a for a in LAW.alt_bases}, one, "alternative basis") for one in alternatives
        ),
        controller=further_place(row, "controller"),
    )


def further_place(row: Row, of: str) -> str | None:
    """The place after `collected in` or `controller`, if the row names one."""
    said = [row.matched("(collected in|controller) (.+)", one, "collected in FR") for one in row.listed("lives in")[1:]]
    return next((row.one_of(PLACES, found[2], "place") for found in said if found[1] == of), None)


def _limit(row: Row, written: str) -> tuple[str, Millis]:
    found = row.matched(r"contract (from|until) (day .+)", written, "contract from day 100")
    return found[1], row.day(found[2])


# --- the customer


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was said: `day 10: opt-in to hoshi-card, confirmed`."""

    at: Millis
    act: str
    recipient: str
    details: tuple[str, ...]


def entry_of(row: Row, written: str) -> Entry:
    day, phrase = row.matched("(day [^:]+): (.+)", written, "day 10: opt-in to hoshi-card").groups()
    head, *details = phrase.split(", ")
    act, _, recipient = head.partition(" to ")
    return Entry(row.day(day), act, recipient, tuple(details))


def customer_of(row: Row, purpose: str, said: list[str]) -> Customer:
    consents, looked_into = ConsentRecord(), set()
    for number, written in enumerate(said):
        entry = entry_of(row, written)
        if entry.act == UNREADABLE_EVENT and not entry.recipient:
            consents = consents.with_unreadable(str(number))
            looked_into |= {row.one_of({"looked into": str(number)}, one, "detail") for one in entry.details}
        else:
            consents = consents.with_event(event_of(row, str(number), entry, purpose))
    return Customer(facts_of(row), consents, looked_into)


def facts_of(row: Row) -> Facts:
    age, *suspended = row.listed("age")
    facts = Facts(
        residence=row.one_of(PLACES, row.listed("lives in")[0], "place"),
        collected_in=further_place(row, "collected in"),
        born=None if age == "unknown" else _born(row, age),
    )
    for one in suspended:
        facts = msgspec.structs.replace(facts, **row.one_of(SUSPENDED, one, "state of a customer"))
    return facts


def _born(row: Row, written: str) -> int:
    """In days: the birthday at which the customer became that old was the contract's first day, or the day named."""
    years, _, day = row.matched(r"(\d+)( since day (-?\d+))?", written, "16 since day 250").groups()
    birthday = START + timedelta(days=int(day or 0))
    return (birthday.replace(year=birthday.year - int(years)) - EPOCH).days


def event_of(row: Row, record_id: str, entry: Entry, purpose: str) -> ConsentEvent:
    told = row.one_of(ACTS, entry.act, "act", beside=[UNREADABLE_EVENT])
    fields = {"actor": Actor.SUBJECT, "purpose": purpose, "event_time": entry.at, "recorded_at": entry.at, **told}
    if entry.recipient:
        fields["recipient_scope"] = _scope(row, entry.recipient)
    details: dict[str, Any] = {}
    for written in entry.details:
        changed = _detail(row, written)
        if details.keys() & changed.keys():
            raise NotUnderstood(f"{CHECKLIST.name}:{row.line}: `{written}` says once more what was said before")
        details |= changed
    notice = {key: value for key, value in details.items() if key in Notice.__struct_fields__}
    fields |= {key: value for key, value in details.items() if key not in notice}
    if notice:
        fields["notice"] = Notice(**notice)
    return ConsentEvent(record_id=record_id, subject_id="c", **fields)


def _scope(row: Row, recipient: str) -> RecipientScope:
    if recipient in PARTNERS:
        return RecipientScope(partner_ids=(recipient,))
    return RecipientScope(row.one_of(ALL_OF_A_KIND, recipient, "recipient", beside=PARTNERS))


def _detail(row: Row, written: str) -> Mapping[str, Any]:
    """The fields of an event, or of its notice, that a phrase sets."""
    for beginning, read in WORDED_DETAILS.items():
        if written.startswith(f"{beginning} "):
            return read(row, written.removeprefix(f"{beginning} "))
    return row.one_of(PLAIN_DETAILS, written, "detail", beside=WORDED_DETAILS)


def _named(row: Row, written: str) -> Mapping[str, Any]:
    words = written.split(" and ")
    kinds = [row.one_of(ALL_OF_A_KIND, one, "recipient", beside=PARTNERS) for one in words if one not in PARTNERS]
    return {
        "names_recipients": tuple(one for one in words if one in PARTNERS),
        "names_recipient_kinds": tuple(kinds),
    }


def _covered(row: Row, written: str) -> Mapping[str, Any]:
    words = [row.one_of({**PURPOSES, **CATEGORIES}, one, "purpose or data category") for one in written.split(" and ")]
    return {
        "covers_purposes": tuple(one for one in words if one in PURPOSES),
        "covers_categories": tuple(one for one in words if one in CATEGORIES),
    }


WORDED_DETAILS: Mapping[str, Callable[[Row, str], Mapping[str, Any]]] = {
    "notice names": _named,
    "notice covers": _covered,
    "by": lambda row, word: {"actor": row.one_of({str(a): a for a in Actor}, word, "actor")},
    "for": lambda row, word: {"purpose": row.one_of({**PURPOSES, "everything": "*"}, word, "purpose")},
    "about": lambda row, words: {
        "data_scope": tuple(row.one_of(CATEGORIES, word, "data category") for word in words.split(" and "))
    },
    "from": lambda row, day: {"valid_from": row.day(day)},
    "until": lambda row, day: {"valid_until": row.day(day)},
    "recorded on": lambda row, day: {"recorded_at": row.day(day)},
    "via": lambda row, word: {"channel": row.one_of({str(c): c for c in Channel}, word, "channel")},
    "under brand": lambda row, word: {"brand_id": row.one_of(BRANDS, word, "brand")},
    "number": lambda row, word: {"sequence": int(row.matched(r"\d+", word, "number 2")[0])},
    "source": lambda row, word: {"source_system": row.one_of({s: s for s in LAW.source_priority}, word, "source")},
}


def instant(day: int) -> Millis:
    """Midnight UTC of a day counted from the contract's first."""
    return Millis(((START - EPOCH).days + day) * DAY_MS)


# --- the tests

ROWS = list(rows(CHECKLIST.read_text(encoding="utf-8")))


@pytest.mark.parametrize("case", [pytest.param(one, id=one.name) for one in map(scenario, ROWS)])
def test_the_decision_is_the_one_that_the_checklist_expects(case: Scenario) -> None:
    assert case.outcome() == case.expected


def test_the_checklist_is_long_enough_and_no_number_stands_twice() -> None:
    numbers = [row.cells["#"] for row in ROWS]
    assert len(ROWS) >= AT_LEAST
    assert sorted(set(numbers)) == sorted(numbers)


def test_every_rule_that_can_decide_decides_a_row_and_one_behind_an_unset_toggle_none() -> None:
    decisive = {name for name, rule in RULES.items() if rule.in_force(FAR_AWAY)}
    assert {rule for row in ROWS for rule in row.listed("rules")} == decisive


def test_every_law_protects_somebody_in_the_checklist() -> None:
    residences = [PLACES[row.listed("lives in")[0]] for row in ROWS]
    laws = [[name for name, _ in LAW.protecting(place)] for place in residences]
    assert {names[0] for names in laws if len(names) == 1} == set(LAW.packs), "each by itself, not only all at once"


def test_every_reason_of_a_decision_stands_in_a_row() -> None:
    of_decisions = set(list(Reason)[: list(Reason).index(Reason.NO_PROFILE)]) - {Reason.CONTRACT_ENDED}
    assert {row.cells["because"] for row in ROWS} - {"-"} == {reason.value for reason in of_decisions}


SILENT = next(
    rows(
        "| 1.1 | DE | 40 | partner in DE | analytics | user.name | - | - | refused | no_consent_record | EU-R3 |",
    )
)


def test_a_row_that_expects_another_answer_fails() -> None:
    right = scenario(SILENT)
    assert right.outcome() == right.expected
    for wrong in (
        {"answer": "shared", "because": "-"},
        {"because": "refused"},
        {"rules": "EU-R4"},
        {"rules": "-"},
    ):
        told = scenario(replace(SILENT, cells={**SILENT.cells, **wrong}))
        assert told.outcome() != told.expected, wrong


@pytest.mark.parametrize(
    ("column", "written", "problem"),
    [
        ("#", "one", "`one` is not said like `1.1`"),
        ("lives in", "unknwon", "there is no place `unknwon`; did you mean `unknown`?"),
        ("lives in", "DE, FR", "`FR` is not said like `collected in FR`"),
        ("lives in", "DE, collected in Fr", "there is no place `Fr`"),
        ("age", "grown up", "`grown up` is not said like `16 since day 250`"),
        ("age", "40, deceasd", "there is no state of a customer `deceasd`; did you mean `deceased`?"),
        ("recipient", "partner", "`partner` is not said like `partner in JP`"),
        ("recipient", "parter in DE", "there is no kind of recipient `parter`; did you mean `partner`?"),
        ("recipient", "partner in DE, from day 3", "`from day 3` is not said like `contract from day 100`"),
        ("purpose", "analitics", "there is no purpose `analitics`; did you mean `analytics`?"),
        ("data", "user.nam", "there is no data category `user.nam`; did you mean `user.name`?"),
        ("contract proves", "notise", "there is no proof `notise`; did you mean `notice`?"),
        ("contract proves", "switched on soft_opt", "no alternative basis `soft_opt`; did you mean `soft_opt_in`?"),
        ("what the customer said", "opt-in", "`opt-in` is not said like `day 10: opt-in to hoshi-card`"),
        ("what the customer said", "day ten: opt-in", "`day ten` is not said like `day 10`"),
        ("what the customer said", "day 1: optin", "there is no act `optin`; did you mean `opt-in`?"),
        ("what the customer said", "day 1: opt-in to hoshi", "no recipient `hoshi`; did you mean `hoshi-card`?"),
        ("what the customer said", "day 1: opt-in, confirmd", "no detail `confirmd`; did you mean `confirmed`?"),
        ("what the customer said", "day 1: opt-in, by guardin", "no actor `guardin`; did you mean `guardian`?"),
        ("what the customer said", "day 1: opt-in, by", "there is no detail `by`"),
        ("what the customer said", "day 1: opt-in, notice names adresso and hoshi", "there is no recipient `hoshi`"),
        ("what the customer said", "day 1: opt-in, via any, via sms", "`via sms` says once more what was said before"),
        ("what the customer said", "day 1: unreadable event to adresso", "there is no act `unreadable event`"),
        ("what the customer said", "day 1: opt-in, via mail", "there is no channel `mail`; did you mean `email`?"),
        ("what the customer said", "day 1: opt-in, number two", "`two` is not said like `number 2`"),
        ("what the customer said", "day 1: unreadable event, seen", "there is no detail `seen`"),
        ("what the customer said", "day 1: opt-in; today: 3", "`today: 3` is not said like `today is day 20`"),
        ("answer", "share", "`share` is not said like `shared: user.name.first`"),
        ("answer", "shared", "`no_consent_record` is not said like `-`"),
        ("because", "no_consent", "there is no reason `no_consent`"),
        ("rules", "EU-R33", "there is no rule `EU-R33`; did you mean `EU-R3`?"),
    ],
)
def test_a_word_that_nobody_explained_is_refused_with_its_line(column: str, written: str, problem: str) -> None:
    with pytest.raises(NotUnderstood, match=r"^decisions\.md:1: ") as refused:
        scenario(replace(SILENT, cells={**SILENT.cells, column: written}))
    assert problem in str(refused.value)


def test_a_row_with_a_cell_too_few_is_refused_with_its_line() -> None:
    with pytest.raises(NotUnderstood, match=r"^decisions\.md:2: 3 cells instead of 11$"):
        list(rows("## A chapter\n| 1.1 | DE | 40 |"))

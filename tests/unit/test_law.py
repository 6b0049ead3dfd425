"""Law packs: loaded whole or refused with the place, and which of them protect whom."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice.consent import Actor, RecipientKind
from sluice.document import DocumentError
from sluice.facts import FactPaths
from sluice.law.loading import load_law, shipped_law
from sluice.law.pack import Law
from sluice.law.rule import NOTICE, Ages, Confidence, Entitled, Mode
from sluice.model import Millis
from tests.unit import deciding

CLASSES = "classes:\n  health: [user.health_and_medical]\n  sensitive: [health, user.location.precise]\n"
RULE = '  - {id: ZZ-R1, mode: OPT_IN, cite: "an act", confidence: seen}\n'
HEAD = "jurisdiction: ZZ\nname: World\nlaw: policy\nas_of: 2026-11-21\n"
WORLD = HEAD + "rules:\n" + RULE


def folder_of(folder: Path, **texts: str) -> Path:
    """A folder of packs; `classes` and `ZZ` are there unless they are given."""
    for name, text in ({"data_classes": CLASSES, "ZZ": WORLD} | texts).items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def loaded(folder: Path, **texts: str) -> Law:
    return load_law(folder_of(folder, **texts))


def pack_of(jurisdiction: str, rest: str = "") -> str:
    name = f"jurisdiction: {jurisdiction}\nname: A\nlaw: an act\nas_of: 2026-11-21\n"
    return name + rest


def a_rule(name: str, more: str = "") -> str:
    return f'rules:\n  - {{id: {name}, mode: ALLOW, cite: "s. 1", confidence: to_be_checked{more}}}\n'


# --- the packs that are shipped


def test_every_shipped_rule_is_cited_dated_and_told_apart_from_what_is_unchecked(law: Law) -> None:
    rules = {(p.jurisdiction, one.id): one for p in law.packs.values() for one in p.rules}
    assert len(rules) > 100
    assert all(one.cite and one.as_of.year >= 2026 for one in rules.values())
    assert {one.confidence for one in rules.values()} == set(Confidence)


def test_every_shipped_law_is_orderly(law: Law) -> None:
    """What holds without evidence is stricter, and alternatives are milder: more evidence never narrows."""
    milder = {Mode.ALLOW: 0, Mode.LIMIT: 1, Mode.OPT_OUT: 2, Mode.OPT_IN: 3, Mode.OPT_IN_EXPLICIT: 4, Mode.FORBID: 5}
    for rule in (one for pack in law.packs.values() for one in pack.rules):
        assert rule.otherwise is None or milder[rule.otherwise] > milder[rule.mode]
        assert all(milder[one.mode] <= milder[rule.mode] for one in rule.alternatives)
        assert len(rule.entitled) < 2 or all(one.ages.below is not None for one in rule.entitled)
        assert not (rule.is_general and rule.unless), "a lifted rule asks nothing, so another has to"


def test_each_recipient_has_a_general_rule_in_every_shipped_law(law: Law) -> None:
    for pack in law.packs.values():
        covered = {kind for rule in pack.rules if rule.is_general for kind in rule.recipients}
        assert covered == set(RecipientKind), pack.jurisdiction


# --- a rule as it is written

FULL = """\
toggles:
  bill: {status: "a bill", cite: "bill 1", in_force_from: 2028-04-01}
  draft: {status: "a draft", cite: "draft 1"}
transfers: {free: [JP], adequate: [EU, GB], instruments: [idta], cite: "s. 9", confidence: seen}
rules:
  - id: JP-A1
    recipient: [partner, processor]
    purpose: [marketing]
    data_class: sensitive
    age: {from: 3, below: child_age}
    mode: OPT_OUT
    requires: [clear_notice, written_contract]
    otherwise: OPT_IN
    unless: [notice_at_collection]
    by: [{age: {below: 13}, actor: guardian}]
    alt_basis: {interest: {mode: ALLOW, requires: [principal_notice], recipient: [partner], not_for: health}}
    from: 2026-01-01
    until: 2027-01-01
    cite: "s. 1"
    confidence: seen
    as_of: 2025-05-05
    note: "a note"
  - {id: JP-A2, mode: FORBID, destination: outside, toggle: bill, cite: "s. 2", confidence: seen}
  - {id: JP-A3, mode: FORBID, toggle: draft, cite: "s. 3", confidence: seen}
"""


def _midnight(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


def test_a_rule_is_read_as_it_is_written(tmp_path: Path) -> None:
    law = loaded(tmp_path, JP=pack_of("JP", FULL), EU=pack_of("EU", "covers: [DE, FR]\n"))
    first, second, third = law.packs["JP"].rules
    assert first.recipients == {RecipientKind.PARTNER, RecipientKind.PROCESSOR}
    assert (first.purposes, first.data_class, first.ages) == (("marketing",), "sensitive", Ages(3, None))
    assert first.requires == {NOTICE, "written_contract"}, "the statutes' own terms for the notice are one (A4.10)"
    assert (first.mode, first.otherwise, first.unless) == (Mode.OPT_OUT, Mode.OPT_IN, frozenset({NOTICE}))
    assert first.entitled == (Entitled(Ages(0, 13), Actor.GUARDIAN),)
    alternative = first.alternatives[0]
    assert (alternative.name, alternative.mode, alternative.not_for) == ("interest", Mode.ALLOW, "health")
    assert alternative.requires == {NOTICE}
    assert alternative.recipients == {RecipientKind.PARTNER}
    assert (first.start, first.end) == (_midnight(2026, 1, 1), _midnight(2027, 1, 1))
    assert (str(first.as_of), str(second.as_of), first.note) == ("2025-05-05", "2026-11-21", "a note")
    assert second.recipients == set(RecipientKind) - {RecipientKind.PROCESSOR}, "left out: all but processors (A4.9)"
    assert second.outside
    assert law.packs["JP"].mechanisms == frozenset({"JP", "EU", "GB", "DE", "FR"})
    assert law.packs["JP"].instruments == {"idta"}
    assert law.packs["EU"].mechanisms is None, "a law without an entry restricts nothing (A4.11)"
    assert law.dates == tuple(_midnight(*day) for day in ((2026, 1, 1), (2027, 1, 1), (2028, 4, 1)))
    assert set(law.age_bounds) >= {0, 3, 13}
    assert set(law.evidence_words) >= {"written_contract", "idta", NOTICE, "clear_notice", "notice_names_recipient"}
    assert law.evidence_words["clear_notice"] == NOTICE
    assert law.alt_bases == {"interest"}
    assert not third.in_force(Millis(_midnight(2100, 1, 1)))


def test_a_rule_under_a_toggle_counts_from_its_day_and_never_while_that_is_not_set(tmp_path: Path) -> None:
    _, bill, draft = loaded(tmp_path, JP=pack_of("JP", FULL)).packs["JP"].rules
    assert not bill.in_force(Millis(_midnight(2028, 4, 1) - 1))
    assert bill.in_force(Millis(_midnight(2028, 4, 1)))
    assert not draft.in_force(Millis(_midnight(9999, 1, 1)))


def test_a_rule_counts_from_its_first_day_to_below_its_last(tmp_path: Path) -> None:
    dated = loaded(tmp_path, JP=pack_of("JP", FULL)).packs["JP"].rules[0]
    days = [_midnight(2026, 1, 1) - 1, _midnight(2026, 1, 1), _midnight(2027, 1, 1) - 1, _midnight(2027, 1, 1)]
    assert [dated.in_force(Millis(day)) for day in days] == [False, True, True, False]


def test_packs_adopt_rules_signals_and_duties_of_others(tmp_path: Path) -> None:
    shelf = (
        "name: Shelf\nlaw: acts\nas_of: 2025-01-01\n"
        + a_rule("US-R1")
        + 'signals: [{id: US-G1, signal: gpc, cite: "s. 2", confidence: seen}]\n'
        + 'duties: [{id: US-D1, trigger: [access], effect: [list], cite: "s. 3", confidence: seen}]\n'
    )
    adopting = pack_of("US-CO", "adopts: [US-R1, US-G1, US-D1]\n")
    law = loaded(tmp_path, shelf=shelf, CO=adopting, UT=pack_of("US-UT", "adopts: [US-R1]\n"))
    colorado = law.packs["US-CO"]
    assert [one.id for one in colorado.rules] == ["US-R1"]
    assert [one.id for one in colorado.signals] == ["US-G1"]
    assert [one.id for one in colorado.duties] == ["US-D1"]
    assert str(colorado.rules[0].as_of) == "2025-01-01", "the date is that of the file that it stands in"
    assert (colorado.opt_outs.gpc_binds, law.packs["US-UT"].opt_outs.gpc_binds) == (True, False)
    assert set(law.packs) == {"ZZ", "US-CO", "US-UT"}, "the shelf is nobody's law"


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("notice_at_collection", NOTICE),
        ("principal_notice", NOTICE),
        ("notice_names_recipient", "notice_names_recipient"),
        ("written_contract", "written_contract"),
    ],
)
def test_the_statutes_own_terms_for_a_notice_mean_notice(law: Law, word: str, means: str) -> None:
    assert law.evidence_words[word] == means


# --- what is refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            WORLD.replace("rules", "ruels"), "ZZ.yaml:5:1: there is no key `ruels` here; did you mean", id="key"
        ),
        pytest.param(WORLD.replace("OPT_IN", "OPTIN"), "ZZ.yaml:6:17: `OPTIN` is not one of", id="mode"),
        pytest.param(WORLD.replace('cite: "an act", ', ""), "ZZ.yaml:6:5: the key `cite` is missing", id="no citation"),
        pytest.param(WORLD.replace("seen", "sure"), "ZZ.yaml:6:47: `sure` is not one of", id="confidence"),
        pytest.param(
            WORLD.replace("mode:", "purpose: [marketting], mode:"),
            "ZZ.yaml:6:27: there is no purpose `marketting`; did you mean `marketing`?",
            id="purpose",
        ),
        pytest.param(
            WORLD.replace("mode:", "data_class: sensitiv, mode:"),
            "ZZ.yaml:6:17: there is no data class `sensitiv`; did you mean `sensitive`?",
            id="data class",
        ),
        pytest.param(
            WORLD.replace("mode:", "alt_basis: {x: {mode: ALLOW, requires: [y], not_for: heath}}, mode:"),
            "ZZ.yaml:6:61: there is no data class `heath`; did you mean `health`?",
            id="data class of an alternative",
        ),
        pytest.param(
            WORLD.replace("mode:", "toggle: bil, mode:") + 'toggles: {bill: {status: s, cite: "c"}}\n',
            "ZZ.yaml:6:17: this file has no toggle `bil`; did you mean `bill`?",
            id="toggle",
        ),
        pytest.param(
            WORLD.replace("mode:", "otherwise: FORBID, mode:"), "`otherwise` says what holds without", id="otherwise"
        ),
        pytest.param(WORLD.replace("mode:", "recipient: [friends], mode:"), "`friends` is not one of", id="recipient"),
        pytest.param(
            WORLD + "adopts: [ZZ-R2]\n", "ZZ.yaml:7:10: no pack has a rule `ZZ-R2`; did you mean `ZZ-R1`?", id="adopted"
        ),
        pytest.param(WORLD + RULE, "ZZ.yaml:6:6: `ZZ-R1` is also the id of a rule in", id="an id twice in a file"),
        pytest.param(WORLD + "child_age_in: {XA: 12}\n", "ZZ.yaml:7:1: `XA` is no country of ISO 3166-1", id="country"),
        pytest.param(
            WORLD + 'transfers: {free: [ZZ], adequate: [UK], cite: "c", confidence: seen}\n',
            "`UK` is no country of ISO 3166-1",
            id="destination",
        ),
        pytest.param(
            WORLD.replace("mode:", "requires: [notise], mode:"),
            "ZZ.yaml:6:17: there is no evidence `notise`; did you mean `notice`?",
            id="evidence",
        ),
        pytest.param(
            WORLD.replace("mode:", "unless: [guardian_consnt], mode:"),
            "ZZ.yaml:6:17: there is no evidence `guardian_consnt`; did you mean `guardian_consent`?",
            id="evidence that lifts",
        ),
        pytest.param(
            WORLD + 'transfers: {free: [ZZ], adequate: [], instruments: [itda], cite: "c", confidence: seen}\n',
            "there is no evidence `itda`; did you mean `idta`?",
            id="instrument",
        ),
        pytest.param(
            WORLD.replace("mode:", "age: {from: 18, below: 13}, mode:"), "`below` is not above `from`", id="ages"
        ),
        pytest.param(
            WORLD.replace("mode:", "from: 2026-01-02, until: 2026-01-01, mode:"), "`until` is not after", id="days"
        ),
        pytest.param(
            WORLD.replace("mode:", "age: {from: 13, below: 13}, mode:"), "`below` is not above `from`", id="no age"
        ),
        pytest.param(
            WORLD.replace("mode:", "from: 2026-01-01, until: 2026-01-01, mode:"), "`until` is not after", id="no day"
        ),
        pytest.param(WORLD.replace("mode:", "from: 2026-01-02, toggle: a, mode:"), "not both", id="a day and a toggle"),
        pytest.param(
            WORLD + "signals:\n" + 2 * '  - {id: ZZ-G1, signal: gpc, cite: "c", confidence: seen}\n',
            "`ZZ-G1` stands here twice",
            id="a signal twice",
        ),
        pytest.param("a: [", "ZZ.yaml:", id="no YAML"),
        pytest.param("- a", "ZZ.yaml:1:1: this document has to be a mapping", id="a list"),
    ],
)
def test_a_pack_that_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as raised:
        loaded(tmp_path, ZZ=text)
    assert problem in str(raised.value)


def test_what_a_pack_does_not_say_adds_no_opt_out_and_makes_children_of_those_below_13(tmp_path: Path) -> None:
    silent = loaded(tmp_path).packs["ZZ"]
    assert (silent.opt_outs.advertising, silent.opt_outs.gpc_binds, silent.opt_outs.two_step_opt_in) == (False,) * 3
    assert silent.child_age == 13


def test_transfers_may_name_another_pack_for_all_that_it_covers(tmp_path: Path) -> None:
    free = 'transfers: {free: [XQ], adequate: [], cite: "s. 9", confidence: seen}\n'
    law = loaded(tmp_path, A=pack_of("XQ", "covers: [DE, FR]\n"), B=pack_of("JP", free))
    assert law.packs["JP"].mechanisms == frozenset({"XQ", "DE", "FR"})


def test_a_country_may_have_one_subdivision_with_a_law_of_its_own(tmp_path: Path) -> None:
    law = loaded(tmp_path, QC=pack_of("CA-QC", "subdivisions: [CA-QC]\n"))
    assert law.subdivisions == {"CA": frozenset({"CA-QC"})}


@pytest.mark.parametrize(("years", "taken"), [(-1, False), (0, True), (150, True), (151, False)])
def test_an_age_is_from_0_to_150_years(tmp_path: Path, years: int, taken: bool) -> None:  # noqa: FBT001
    text = pack_of("JP", f"child_age: {years}\n")
    if taken:
        assert loaded(tmp_path, JP=text).packs["JP"].child_age == years
    else:
        with pytest.raises(DocumentError):
            loaded(tmp_path, JP=text)


def test_a_pack_may_end_in_yml(tmp_path: Path) -> None:
    before = loaded(tmp_path).digest
    (tmp_path / "JP.yml").write_text(pack_of("JP"), encoding="utf-8")
    after = load_law(tmp_path)
    assert "JP" in after.packs
    assert after.digest != before


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({"ZZ": pack_of("JP")}, "no pack has the jurisdiction ZZ"),
        ({"ZQ": pack_of("ZQ")}, "ZQ.yaml:1:1: `ZQ` is no country of ISO 3166-1"),
        ({"AA": pack_of("AA")}, "AA.yaml:1:1: `AA` is no country of ISO 3166-1"),
        ({"ZZ-A": pack_of("ZZ-A")}, "ZZ-A.yaml:1:1: `ZZ-A` is no country of ISO 3166-1"),
        ({"JP": pack_of("JP", a_rule("ZZ-R1"))}, "`ZZ-R1` is also the id of a rule in"),
        ({"other": pack_of("ZZ")}, "more than one pack is about ZZ"),
        ({"A": pack_of("CA-QC", "subdivisions: [CA-QC, US-NY]\n")}, "subdivisions of CA, US stand in one list"),
        (
            {"A": pack_of("CA-QC", "subdivisions: [CA-QC]\n"), "B": pack_of("CA", "subdivisions: [CA-ON]\n")},
            "more than one pack lists the subdivisions of CA",
        ),
        (
            {"A": pack_of("EU", "covers: [DE]\n"), "B": pack_of("GB", "covers: [DE]\n")},
            "more than one pack is about DE",
        ),
        (
            {"data_classes": "classes: {a: [user.helth]}\n"},
            "data_classes.yaml:1:15: there is no data category or class",
        ),
        ({"data_classes": "classes: {a: [b], b: [a]}\n"}, "data_classes.yaml:1:1: a class contains itself"),
        (
            {"A": pack_of("XQ", "covers: [DE]\n"), "B": pack_of("JP", "covers: [XQ]\n")},
            "B.yaml:5:1: `XQ` is no country of ISO 3166-1",
        ),
        (
            {"evidence": "words: {notice: told}\naliases: {clear_notice: notise, x: other}\n"},
            "`aliases` name a word that is not there: `notise`",
        ),
    ],
    ids=str,
)
def test_packs_that_do_not_fit_together_are_refused(tmp_path: Path, texts: dict[str, str], problem: str) -> None:
    with pytest.raises(DocumentError) as raised:
        loaded(tmp_path, **texts)
    assert problem in str(raised.value)


def test_every_problem_of_every_pack_is_told_at_once(tmp_path: Path) -> None:
    wrong = "adopts: [AA-1]\n"
    with pytest.raises(DocumentError) as raised:
        loaded(tmp_path, JP=pack_of("JP", wrong), BR=pack_of("BR", wrong))
    assert len(str(raised.value).splitlines()) == 2


def test_a_folder_without_packs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="there is no folder of law packs"):
        load_law(tmp_path / "none")
    with pytest.raises(DocumentError, match="there is no such file"):
        load_law(tmp_path)


# --- which laws protect whom


@pytest.mark.parametrize(
    ("residence", "asked"),
    [
        ("JP", {"JP"}),
        ("jp", {"JP"}),
        (" JP ", {"JP"}),
        ("JP-13", {"JP"}),
        ("DE", {"EU"}),
        ("DE-BY", {"EU"}),
        ("EU", {"EU"}),
        ("AU", {"ZZ"}),
        ("AU-NSW", {"ZZ"}),
        ("US-CA", {"US-CA"}),
        ("US-NY", {"ZZ"}),
        ("CA-QC", {"CA-QC"}),
        ("CA-ON", {"CA"}),
        ("CA", {"CA", "CA-QC"}),
        ("CA-XX", {"CA", "CA-QC", "ZZ"}),
    ],
)
def test_a_known_place_is_under_its_own_law(law: Law, residence: str, asked: set[str]) -> None:
    assert {one.pack.jurisdiction for one in law.regimes(residence, None, None)} == asked


@pytest.mark.parametrize("residence", [None, "", "?", "XX", "ZZ", "Japan", "US_CA", "-", "星"])
def test_an_unknown_place_is_under_all_laws(law: Law, residence: str | None) -> None:
    everywhere = law.regimes(residence, None, None)
    assert {one.pack.jurisdiction for one in everywhere} == set(law.packs)
    assert all(one.child_age == one.pack.oldest_child_age for one in everywhere)


def test_a_country_alone_or_an_unknown_state_is_under_the_laws_of_all_its_states(law: Law) -> None:
    states = {jurisdiction for jurisdiction in law.packs if jurisdiction.startswith("US-")}
    assert {one.pack.jurisdiction for one in law.regimes("US", None, None)} == states
    assert {one.pack.jurisdiction for one in law.regimes("US-ZZ", None, None)} == {*states, "ZZ"}


def test_collection_and_controller_add_their_laws_when_they_are_stated(law: Law) -> None:
    def asked(collected_in: str | None, controller: str | None) -> set[str]:
        return {one.pack.jurisdiction for one in law.regimes("JP", collected_in, controller)}

    assert asked(None, None) == {"JP"}
    assert asked("DE", "GB") == {"JP", "EU", "GB"}
    assert asked("?", None) == asked(None, "?") == set(law.packs)


@pytest.mark.parametrize(
    ("places", "age"),
    [
        (("DE", None), 16),
        (("FR", None), 15),
        (("BE", None), 13),
        (("BE", "FR"), 15),
        (("BE", "DE"), 16),
        (("EU", None), 16),
    ],
)
def test_the_age_of_a_child_is_the_countrys_and_the_highest_of_several(
    law: Law, places: tuple[str, str | None], age: int
) -> None:
    """GDPR 8(1)."""
    (regime,) = law.regimes(*places, None)
    assert regime.child_age == age


def test_a_law_without_an_age_of_children_has_none() -> None:
    (regime,) = deciding.under(deciding.rule(), child_age=0).regimes("JP", None, None)
    assert regime.child_age == 0


# --- data classes


@pytest.mark.parametrize(
    ("category", "classes"),
    [
        ("user.health_and_medical", {"health", "sensitive"}),
        ("user.health_and_medical.record_id", {"health", "sensitive"}),
        ("user.location.precise", {"sensitive"}),
        ("user.location", {"sensitive"}),
        ("user.location.imprecise", set()),
        ("user", {"health", "sensitive"}),
        ("*", {"health", "sensitive"}),
        ("user.name", set()),
        ("user.health", set()),
    ],
)
def test_a_field_is_of_every_class_that_it_may_hold(tmp_path: Path, category: str, classes: set[str]) -> None:
    assert loaded(tmp_path).classes_of(category) == classes


# --- the digest


def test_the_digest_changes_with_every_input_of_a_decision_and_not_otherwise(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    first = load_law(folder).digest
    assert load_law(folder).digest == first
    assert load_law(folder, ("crm",)).digest != first
    assert load_law(folder, ("crm", "shop")).digest != load_law(folder, ("shop", "crm")).digest
    assert load_law(folder, paths=FactPaths(residence="home")).digest != first
    folder_of(tmp_path, ZZ=WORLD.replace("OPT_IN", "FORBID"))
    assert load_law(folder).digest != first
    folder_of(tmp_path)
    assert load_law(folder).digest == first
    folder_of(tmp_path, data_classes=CLASSES.replace("precise", "imprecise"))
    assert load_law(folder).digest != first


def test_the_first_source_named_is_the_most_trusted() -> None:
    law = shipped_law(("crm", "shop"))
    assert law.rank("crm") > law.rank("shop") > law.rank("fair") == law.rank(None) == 0

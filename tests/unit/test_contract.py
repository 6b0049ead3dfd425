"""Contracts: read by people, refused whole when one word is wrong, and what is derived from them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import avro.compatibility
import avro.schema
import fastavro
import pytest

from schemas import catalogue
from sluice.consent import RecipientKind
from sluice.contract import (
    CheckedContract,
    Contract,
    ContractSet,
    check,
    load_contracts,
    partner_field,
    partner_schema,
)
from sluice.document import DocumentError, load
from sluice.facts import AS_IN_OUR_PROFILE
from sluice.keys import MasterKey
from sluice.law.loading import shipped_law
from sluice.redaction import TRANSFORMS
from sluice.row_filter import OneOf
from sluice.source_schema import SourceSchema, leaves

LAW = shipped_law()
SOURCE = leaves(catalogue.text("customer_profile"))
DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "contracts"
MASTER = MasterKey(bytes(range(32)))
HOSHI = """\
partner: hoshi-card
name: Hoshi Card K.K.
recipient: corporate_partner
purpose: marketing.communications.email
country: JP
valid: {from: 2026-01-01, until: 2028-01-01, timezone: Asia/Tokyo}
fields:
  given_name: keep
  birth_date: birth_year
  address.postal_code: {postcode_prefix: 3}
  loyalty.tier: keep
"""


def write(folder: Path, text: str, name: str = "hoshi-card.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def contract(folder: Path, text: str = HOSHI) -> Contract:
    return load(write(folder, text), Contract)[0]


def changed(old: str, new: str) -> str:
    assert HOSHI.count(old) == 1
    return HOSHI.replace(old, new)


def checked(folder: Path, text: str = HOSHI, source: SourceSchema = SOURCE) -> CheckedContract:
    for path in folder.glob("*.yaml"):
        path.unlink()
    write(folder, text)
    return check(load_contracts(folder), source, LAW).contracts[0]


def source_with(field: str, **changes: object) -> SourceSchema:
    """The example customer, with one field otherwise, or one more."""
    schema = json.loads(catalogue.text("customer_profile"))
    fields = {one["name"]: one for one in schema["fields"]}
    fields[field] = {k: v for k, v in fields.get(field, {"name": field}).items() if k != "default"} | changes
    return leaves(json.dumps(schema | {"fields": list(fields.values())}))


def refusal(folder: Path, text: str, source: SourceSchema = SOURCE) -> list[str]:
    """Every line of what `load_contracts` and `check` say, without the file's name."""
    path = write(folder, text)
    with pytest.raises(DocumentError) as raised:
        check(load_contracts(folder), source, LAW)
    return [line.removeprefix(f"{path}:") for line in str(raised.value).splitlines()]


# --- the demo's


def test_the_demos_contracts_fit_the_demos_source_schema() -> None:
    contracts = check(load_contracts(DEMO), SOURCE, LAW)
    assert [one.partner for one in contracts.contracts] == ["adresso", "hoshi-card", "listmart"]
    kinds = {one.partner: one.terms().kind for one in contracts.contracts}
    assert kinds == {
        "adresso": RecipientKind.PROCESSOR,
        "hoshi-card": RecipientKind.PARTNER,
        "listmart": RecipientKind.THIRD_PARTY_SALE,
    }
    listmart = contracts.contracts[2]
    assert "email" not in listmart.leaves, "dropped"
    assert "note" in listmart.leaves, "there, and empty"
    assert contracts.contracts[0].contract.required_fields == {"address.postal_code"}


# --- what is read


def test_a_contract_says_what_it_says(tmp_path: Path) -> None:
    one = checked(tmp_path, HOSHI + "where: {address.country: [AU, JP], loyalty.points: 5}\nbrand: hoshi\n")
    terms = one.terms()
    assert terms.partner == "hoshi-card"
    assert terms.brand == "hoshi"
    assert terms.purpose == "marketing.communications.email"
    assert dict(terms.categories) == {
        "given_name": "user.name.first",
        "birth_date": "user.demographic.date_of_birth",
        "address.postal_code": "user.contact.address.postal_code",
        "loyalty.tier": "user.behavior.purchase_history",
    }
    assert list(terms.categories) == list(one.contract.fields), "in the contract's order"
    assert one.contract.limits.acknowledge_within == timedelta(days=3)
    assert one.contract.where == {"address.country": OneOf(values=("AU", "JP")), "loyalty.points": OneOf(values=(5,))}


@pytest.mark.parametrize(
    ("valid", "start", "until"),
    [
        ("{from: 2026-01-01}", datetime(2026, 1, 1, tzinfo=UTC), None),
        ("{from: 2026-01-01, timezone: Asia/Tokyo}", datetime(2025, 12, 31, 15, tzinfo=UTC), None),
        (
            "{from: 2026-01-01, until: 2026-07-01, timezone: Australia/Sydney}",  # summer time, then not
            datetime(2025, 12, 31, 13, tzinfo=UTC),
            datetime(2026, 6, 30, 14, tzinfo=UTC),
        ),
        ("{from: 2026-01-01T09:30:00, timezone: Asia/Tokyo}", datetime(2026, 1, 1, 0, 30, tzinfo=UTC), None),
        ("{from: 2026-01-01T09:30:00+02:00, timezone: Asia/Tokyo}", datetime(2026, 1, 1, 7, 30, tzinfo=UTC), None),
        ("{from: 2026-01-01T00:00:00Z, timezone: Asia/Tokyo}", datetime(2026, 1, 1, tzinfo=UTC), None),
    ],
)
def test_a_date_is_midnight_where_the_contract_says(
    tmp_path: Path, valid: str, start: datetime, until: datetime | None
) -> None:
    text = changed("{from: 2026-01-01, until: 2028-01-01, timezone: Asia/Tokyo}", valid)
    found = contract(tmp_path, text).valid
    assert found.start_ms == start.timestamp() * 1000
    assert found.until_ms == (None if until is None else until.timestamp() * 1000)


@pytest.mark.parametrize(
    ("recipient", "kind"),
    [
        ("service_provider", RecipientKind.PROCESSOR),
        ("group_company\nsame_branding: true", RecipientKind.AFFILIATE_SAME_BRAND),
        ("group_company\nsame_branding: false", RecipientKind.AFFILIATE_OTHER_BRAND),
        ("corporate_partner", RecipientKind.PARTNER),
        ("third_party_sale", RecipientKind.THIRD_PARTY_SALE),
    ],
)
def test_the_kind_of_recipient(tmp_path: Path, recipient: str, kind: RecipientKind) -> None:
    assert contract(tmp_path, changed("corporate_partner", recipient)).kind is kind


# --- what is refused


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("purpose: ", "purpse: ", "4:1: there is no key `purpse` here; did you mean `purpose`?"),
        (
            "communications.email",
            "communications.emial",
            (
                "4:1: there is no purpose `marketing.communications.emial`; "
                "did you mean `marketing.communications.email`?"
            ),
        ),
        (
            "corporate_partner",
            "corporate_parter",
            (
                "3:1: `corporate_parter` is not one of 'service_provider', 'group_company', 'corporate_partner' or "
                "'third_party_sale'; did you mean `corporate_partner`?"
            ),
        ),
        ("  given_name: keep", "  given_name: kep", "8:3: there is no transform `kep`; did you mean `keep`?"),
        (
            "  given_name: keep",
            "  given_name: [keep]",
            "8:3: a field takes one transform: a name, or a name with its options",
        ),
        (
            "  given_name: keep",
            "  given_name: {truncate: ten}",
            "8:3: `to`: input should be a valid integer, not 'ten'",
        ),
        (
            "  given_name: keep",
            "  gven_name: keep",
            ("8:3: the source schema has no field `gven_name` that can be shared; did you mean `given_name`?"),
        ),
        (
            "  given_name: keep",
            "  address: keep",
            ("8:3: `address` has fields of its own; list the ones to share, such as `address.street`"),
        ),
        ("  given_name: keep", "  gender: mask", "8:3: this transform of `gender` applies to strings only"),
        (
            "  given_name: keep",
            "  segments: birth_year",
            ("8:3: this transform of `segments` applies to dates and strings only"),
        ),
        (
            "  given_name: keep",
            "  location.latitude: pseudonym",
            ("8:3: this transform of `location.latitude` applies to strings and integers only"),
        ),
        (
            "  given_name: keep",
            "  email: {drop: {required: true}}",
            ("8:3: this transform of `email` cannot be required"),
        ),
        (
            "  given_name: keep",
            "  given_name: keep\n  given_name: drop",
            ("9:3: `given_name` stands here twice; remove one."),
        ),
        ("Asia/Tokyo", "Asia/Tokio", "6:46: there is no time zone `Asia/Tokio`; use an IANA name such as Asia/Tokyo"),
        ("Asia/Tokyo", "Asia", "6:46: there is no time zone `Asia`; use an IANA name such as Asia/Tokyo"),
        ("Asia/Tokyo", "../Tokyo", "6:46: there is no time zone `../Tokyo`; use an IANA name such as Asia/Tokyo"),
        ("until: 2028-01-01", "until: 2026-01-01", "1:1: `valid.until` is not after `valid.from`"),
        ("until: 2028-01-01", "until: 2025-01-01", "1:1: `valid.until` is not after `valid.from`"),
        ("country: JP", "country: NO", "5:1: `country`: input should be a valid string, not False"),
        ("name: Hoshi Card K.K.", 'name: ""', "2:1: `name`: string should have at least 1 character, not ''"),
        (
            "corporate_partner",
            "corporate_partner\nsame_branding: true",
            ("1:1: recipient `corporate_partner` takes no `same_branding`"),
        ),
        (
            "corporate_partner",
            "corporate_partner\nsame_branding: false",
            ("1:1: recipient `corporate_partner` takes no `same_branding`"),
        ),
        ("corporate_partner", "group_company", "1:1: recipient `group_company` needs `same_branding`"),
        (
            "country: JP",
            "country: JP\nwhere: {adress.country: JP}",
            (
                "6:9: the source schema has no field "
                "`adress.country` that can be shared; did you mean `address.country`?"
            ),
        ),
        (
            "country: JP",
            "country: JP\nwhere: {address: JP}",
            ("6:9: `address` has fields of its own; list the ones to share, such as `address.street`"),
        ),
        (
            "country: JP",
            "country: JP\nlimits: {acknowledge_within: three days}",
            ("6:10: `three days` is not an ISO 8601 duration such as P3D"),
        ),
        (
            "country: JP",
            "country: JP\nlimits: {acknowledge_within: 3}",
            ("6:10: `3` is not an ISO 8601 duration such as P3D"),
        ),
        (
            "country: JP",
            "country: JP\npseudonym_epoch: 0",
            ("6:1: `pseudonym_epoch`: input should be greater than or equal to 1, not 0"),
        ),
    ],
)
def test_one_wrong_word_is_told_where_it_stands(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problem in refusal(tmp_path, changed(old, new))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (
            "identifiers",
            (
                "`identifiers` is an array of records; pick an item by one of its fields, such as "
                "`identifiers[scheme=…].scheme`"
            ),
        ),
        (
            "identifiers[scheme=loyalty].vlaue",
            (
                "the source schema has no field `identifiers[scheme=loyalty].vlaue` that can be shared; did you mean "
                "`identifiers[scheme=loyalty].value`?"
            ),
        ),
        (
            "identifers[scheme=loyalty].value",
            (
                "the source schema has no field `identifers[scheme=loyalty].value` that can be shared; did you mean "
                "`identifiers[scheme=loyalty].value`?"
            ),
        ),
        (
            "identifiers[schem=loyalty].value",
            "items of `identifiers` have no field `schem` to be picked by; did you mean `scheme`?",
        ),
        ("email[scheme=loyalty]", "`email` is no array, so no item of it can be picked"),
        ("attributes[a=b]", "`attributes` is a map; pick an entry by its key, such as `attributes[…]`"),
        (
            "attributes[e-mail]",
            (
                "`attributes[e-mail]` would be named `attributes_e-mail`, and names in records have only letters, "
                "digits and _"
            ),
        ),
        (
            "attributes[plan",
            (
                "`attributes[plan` is no path; write `address.city`, `identifiers[scheme=loyalty].value` or "
                "`attributes[plan]`"
            ),
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_told(tmp_path: Path, path: str, problem: str) -> None:
    assert refusal(tmp_path, HOSHI + f'  "{path}": keep\n') == [f"12:3: {problem}"]


def test_items_and_entries_are_shared_under_flat_names(tmp_path: Path) -> None:
    lines = (
        "  identifiers[scheme=loyalty].value: pseudonym\n  attributes[plan]: keep\n  preferences[newsletter]: keep\n"
    )
    one = checked(tmp_path, HOSHI + lines)
    fields = {field["name"]: field for field in json.loads(partner_schema(one))["fields"]}
    assert fields["identifiers_loyalty_value"]["data_category"] == "user.unique_id"
    assert fields["attributes_plan"]["type"] == ["null", "string"]
    assert fields["preferences_newsletter"]["type"] == ["null", "boolean"]
    avro.schema.parse(partner_schema(one))


def test_two_selectors_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    lines = "  identifiers[scheme=erp].value: keep\n  identifiers[value=erp].value: keep\n"
    (problem,) = refusal(tmp_path, HOSHI + lines)
    assert problem.endswith(
        "`identifiers[value=erp].value` and `identifiers[scheme=erp].value` would have the same name"
    )


# --- what the laws know


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("evidence: [notise]", "12:12: no law asks for the evidence `notise`; did you mean `notice`?"),
        (
            "alt_basis: [legitimate_interest]",
            "12:13: no law has the alternative `legitimate_interest`; did you mean `legitimate_interests`?",
        ),
        (
            "special_categories: [user.genetics]",
            "12:22: there is no data category `user.genetics`; did you mean `user.genetic`?",
        ),
        (
            "special_categories: [user.genetic]",
            "12:22: no field of this contract is of the special category `user.genetic`; remove it",
        ),
        ("special_categories: [user.name]", "12:22: `user.name` is no special category"),
        (
            "obligations: [no_resales]",
            "12:15: there is no obligation `no_resales`; did you mean `no_resale`?",
        ),
        ("controller: {name: Other, jurisdiction: UK}", "12:27: there is no country `UK`"),
        (
            "controller: {name: Other, jurisdiction: Germany}",
            "12:27: `Germany` is not a code of ISO 3166-1 or 3166-2, such as JP or US-CA",
        ),
        ("limits: {rate: 2 Mb/s}", "12:10: `2 Mb/s` is not a rate such as 2 MB/s; units are B/s, kB/s, MB/s and GB/s"),
        ("limits: {rate: 0 MB/s}", "12:10: a rate has to be at least 1 B/s"),
        ("limits: {retain: 30}", "12:10: `30` is not an ISO 8601 duration such as P3D"),
        ("limits: {retian: P30D}", "12:10: there is no key `retian` here; did you mean `retain`?"),
        ("where: {loyalty.points: {at_leest: 5}}", "12:26: there is no key `at_leest` here; did you mean `at_least`?"),
        ("where: {email: {at_least: 5}}", "12:9: `email` is no number; it has no range"),
        ("where: {birth_date: {at_least: 5}}", "12:9: `birth_date` is no number; write dates as 2026-01-31"),
        ("where: {email: {above: 2026-01-01}}", "12:9: `email` is no date; a range of dates cannot hold it"),
        ("where: {email: {age: {at_least: 18}}}", "12:9: `email` is no date, so it has no age"),
        ("where: {birth_date: '2000-01-01'}", "12:9: `birth_date` can never be '2000-01-01'"),
        ("where: {email: 2000-01-01}", "12:9: `email` can never be 2000-01-01"),
        ("where: {loyalty.tier: GOLDEN}", "12:9: `loyalty.tier` can never be 'GOLDEN'; did you mean `GOLD`?"),
        (
            "where: {loyalty.points: {at_least: 5, above: 3}}",
            "12:9: a range has one lower and one upper bound: `at_least` or `above`, `below` or `at_most`",
        ),
    ],
)
def test_one_wrong_word_in_the_newer_keys_is_told_where_it_stands(tmp_path: Path, line: str, problem: str) -> None:
    (told,) = refusal(tmp_path, HOSHI + line + "\n")
    assert told.startswith(problem)


def test_a_code_that_is_no_country_is_put_right(tmp_path: Path) -> None:
    (problem,) = refusal(tmp_path, changed("country: JP", "country: UK"))
    assert problem == "5:1: there is no country `UK`; use a code of ISO 3166-1 such as JP; did you mean `GB`?"


def test_terms_hold_what_the_laws_ask_about(tmp_path: Path) -> None:
    more = "controller: {name: Other, jurisdiction: US-CA}\nlimits: {rate: 2 MB/s, retain: P30D}\nevidence: [notice]\n"
    one = checked(tmp_path, HOSHI + more)
    terms = one.terms()
    assert (terms.country, terms.controller, terms.evidence) == ("JP", "US-CA", frozenset({"notice"}))
    assert terms.retain_ms == 30 * 24 * 60 * 60 * 1000
    assert one.contract.limits.rate == 2_000_000
    plain = checked(tmp_path).terms()
    assert (plain.controller, plain.evidence, plain.alt_basis, plain.retain_ms) == (
        None,
        frozenset(),
        frozenset(),
        None,
    )


# --- special categories


@pytest.mark.parametrize(
    ("category", "named", "accepted"),
    [
        ("user.health_and_medical.genetic", None, False),
        ("user.health_and_medical.genetic", "user.health_and_medical.genetic", True),
        ("user.health_and_medical.genetic", "user.health_and_medical", True),
        ("user.health_and_medical.genetic", "user.health_and_medical.record_id", False),
        ("user.health_and_medical.genetic", "user", False),
        ("user.demographic", None, False),
        ("user.demographic", "user.demographic", True),
        ("user.demographic", "user.demographic.religious_belief", False),
        ("user.demographic.religious_belief", "user.demographic", False),
        ("user.demographic.gender", None, True),
        (None, None, False),
    ],
)
def test_a_special_category_is_shared_only_when_it_is_named(
    tmp_path: Path,
    category: str | None,
    named: str | None,
    accepted: bool,  # noqa: FBT001
) -> None:
    source = source_with("extra", type="string", **({"data_category": category} if category else {}))
    head = HOSHI.replace("corporate_partner", "group_company\nsame_branding: true")
    text = head + "  extra: keep\n" + (f"special_categories: [{named}]\n" if named else "")
    if accepted:
        assert "extra" in checked(tmp_path, text, source).leaves
    else:
        assert refusal(tmp_path, text, source)[0].startswith("13:3: `extra` is, or may be, of a special category")


def test_a_row_filter_on_a_special_category_has_to_be_named_too(tmp_path: Path) -> None:
    source = source_with("diagnosis", type="string", data_category="user.health_and_medical")
    text = HOSHI + "where: {diagnosis: diabetes}\n"
    assert refusal(tmp_path, text, source)[0].startswith("12:9: `diagnosis` is, or may be, of a special category")
    named = text + "special_categories: [user.health_and_medical]\n"
    assert checked(tmp_path, named, source).contract.where.keys() == {"diagnosis"}


def test_the_refusal_of_a_special_category_says_how_to_name_it(tmp_path: Path) -> None:
    source = source_with("blood_group", type="string", data_category="user.health_and_medical")
    assert refusal(tmp_path, HOSHI + "  blood_group: keep\n", source) == [
        (
            "12:3: `blood_group` is, or may be, of a special category (GDPR 9(1): `user.health_and_medical`); to "
            "share it on purpose, list `user.health_and_medical` under `special_categories`"
        )
    ]


# --- data minimisation


def test_a_contract_that_lists_more_than_its_purpose_needs_is_refused_with_the_citation(tmp_path: Path) -> None:
    text = changed("corporate_partner", "service_provider").replace(
        "marketing.communications.email", "operations.address_hygiene"
    )
    assert refusal(tmp_path, text) == [
        f"{line}: `{path}` is `{category}`, and this purpose needs only user.contact.address, user.name, "
        "user.unique_id, system.operations (GDPR 5(1)(c), 28(3); 11 CCR 7002(d); to be checked)"
        for line, path, category in [
            ("9:3", "birth_date", "user.demographic.date_of_birth"),
            ("11:3", "loyalty.tier", "user.behavior.purchase_history"),
        ]
    ]


@pytest.mark.parametrize(
    "name", ["Hoshi", "hoshi_card", "hoshi.card", "9hoshi", "-hoshi", "h" * 64, "hoshi card", "ほし", "*", "../hoshi"]
)
def test_a_name_that_is_no_name_of_topics_is_refused(tmp_path: Path, name: str) -> None:
    (problem,) = refusal(tmp_path, changed("partner: hoshi-card", f"partner: {name!r}"))
    assert problem.startswith("1:1: `partner`: ")


@pytest.mark.parametrize("name", ["crm", "sharing", "returns", "admin", "registry"])
def test_a_partner_cannot_take_the_name_of_another_user(tmp_path: Path, name: str) -> None:
    """The partner's name is a user with rights of its own and a connection file; these names have others."""
    assert refusal(tmp_path, changed("partner: hoshi-card", f"partner: {name}"))


def test_a_contract_that_shares_nothing_is_refused(tmp_path: Path) -> None:
    nothing = HOSHI[: HOSHI.index("fields:")]
    assert refusal(tmp_path, nothing + "fields: {}\n")
    assert refusal(tmp_path, nothing + "fields: {email: drop}\n")


@pytest.mark.parametrize("duration", ["-P3D", "PT0S"])
def test_a_recall_needs_time_to_be_carried_out(tmp_path: Path, duration: str) -> None:
    assert refusal(tmp_path, HOSHI + f"limits: {{acknowledge_within: {duration}}}\n")


@pytest.mark.parametrize(
    "row_filter",
    [
        pytest.param("address.country: [JP, NO]", id="YAML's NO is false"),
        pytest.param("address.country: true", id="no text"),
        pytest.param("loyalty.points: many", id="no number"),
        pytest.param("loyalty.tier: GOLDEN", id="no symbol of the enum"),
    ],
)
def test_a_row_filter_that_nothing_can_pass_is_refused(tmp_path: Path, row_filter: str) -> None:
    (problem,) = refusal(tmp_path, HOSHI + f"where: {{{row_filter}}}\n")
    assert problem.startswith("12:9: ")


def test_two_paths_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    field = {"name": "address_city", "type": "string", "data_category": "user.contact.address.city"}
    schema = json.loads(catalogue.text("customer_profile"))
    schema["fields"].append(field)
    path = write(tmp_path, HOSHI + "  address.city: keep\n  address_city: keep\n")
    with pytest.raises(DocumentError, match=rf"{path}:13:3: `address_city` and `address\.city` would have the same"):
        check(load_contracts(tmp_path), leaves(json.dumps(schema)), LAW)


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    one, other = write(tmp_path, changed("purpose", "purpse"), "a.yaml"), write(tmp_path, "x: [", "b.yaml")
    with pytest.raises(DocumentError) as raised:
        load_contracts(tmp_path)
    told = str(raised.value).splitlines()
    assert [line.startswith(f"{one}:") for line in told] == [True, True, False]
    assert told[2].startswith(f"{other}:")


def test_every_misfit_of_every_contract_is_told(tmp_path: Path) -> None:
    write(tmp_path, changed("  given_name: keep", "  a: keep\n  b: keep"))
    write(tmp_path, changed("hoshi-card", "adresso").replace("given_name", "c"), "adresso.yaml")
    with pytest.raises(DocumentError) as raised:
        check(load_contracts(tmp_path), SOURCE, LAW)
    assert len(str(raised.value).splitlines()) == 3


def test_two_contracts_of_one_partner_are_refused(tmp_path: Path) -> None:
    write(tmp_path, HOSHI, "a.yaml")
    write(tmp_path, HOSHI, "b.yaml")
    with pytest.raises(DocumentError, match=r"b\.yaml:1:1: `hoshi-card` already has a contract in .*a\.yaml$"):
        load_contracts(tmp_path)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DocumentError, match="there is no contract here"):
            load_contracts(folder)


def test_a_contract_under_another_ending_is_not_passed_over(tmp_path: Path) -> None:
    """A partner whose file is overlooked would be recalled, or never served, without a word."""
    write(tmp_path, HOSHI)
    write(tmp_path, changed("hoshi-card", "adresso"), "adresso.yml")
    try:
        assert "adresso" in load_contracts(tmp_path)
    except DocumentError as error:
        assert "adresso.yml" in str(error)  # noqa: PT017 - reading it and refusing it are both right


# --- what is derived: digests


OTHERS = [
    changed("until: 2028-01-01", "until: 2029-01-01"),
    changed("Asia/Tokyo", "UTC"),
    changed("communications.email", "communications.sms"),
    changed("corporate_partner", "third_party_sale"),
    changed("  given_name: keep\n", ""),
    changed("  given_name: keep", "  given_name: {truncate: 1}"),
    changed("  given_name: keep", "  given_name: {truncate: 2}"),
    changed("  given_name: keep", "  given_name: mask"),
    changed("  given_name: keep", "  given_name: {keep: {required: true}}"),
    HOSHI + "brand: hoshi\n",
    HOSHI + "pseudonym_epoch: 2\n",
    HOSHI + "where: {address.country: JP}\n",
    HOSHI + "where: {address.country: AU}\n",
    HOSHI + "where: {address.country: {present: true}}\n",
    HOSHI + "where: {birth_date: {age: {at_least: 18}}}\n",
    HOSHI + "where: {birth_date: {age: {at_least: 16}}}\n",
    HOSHI + "where: {loyalty.points: {at_least: 18}}\n",
    HOSHI + "evidence: [notice]\n",
    HOSHI + "alt_basis: [legitimate_interests]\n",
    HOSHI + "controller: {name: Other, jurisdiction: DE}\n",
    HOSHI + "limits: {retain: P30D}\n",
    changed("country: JP", "country: DE"),
    HOSHI + "  attributes[plan]: keep\n",
    HOSHI + "  attributes[level]: keep\n",
]


def test_the_digest_changes_with_what_is_given_to_whom(tmp_path: Path) -> None:
    digests = [checked(tmp_path, text).digest(MASTER) for text in (HOSHI, *OTHERS)]
    assert len(set(digests)) == len(digests)
    assert checked(tmp_path, "# read aloud\n" + HOSHI).digest(MASTER) == digests[0]


def test_the_digest_changes_with_the_master_key_and_the_source_schema(tmp_path: Path) -> None:
    digest = checked(tmp_path).digest(MASTER)
    assert checked(tmp_path).digest(MasterKey(bytes(32))) != digest
    assert checked(tmp_path, source=source_with("given_name", data_category="user.name")).digest(MASTER) != digest
    assert checked(tmp_path, source=source_with("birth_date", type="string")).digest(MASTER) != digest
    assert checked(tmp_path, source=source_with("email", data_category="user.contact")).digest(MASTER) == digest


def test_the_digest_changes_with_the_type_of_a_field_that_only_the_row_filter_looks_at(tmp_path: Path) -> None:
    text = HOSHI + "where: {email: {present: true}}\n"
    digest = checked(tmp_path, text).digest(MASTER)
    assert checked(tmp_path, text, source_with("email", type=["null", "bytes"])).digest(MASTER) != digest


def test_the_digest_tells_a_date_from_text_that_looks_like_one(tmp_path: Path) -> None:
    one = checked(tmp_path, HOSHI + "where: {birth_date: 2000-01-01}\n")
    text = HOSHI + "where: {birth_date: '2000-01-01'}\n"
    other = checked(tmp_path, text, source_with("birth_date", type="string"))
    same_types = replace(other, leaves=one.leaves, filtered=one.filtered)
    assert one.digest(MASTER) != same_types.digest(MASTER)


def test_the_digest_changes_with_the_version_of_a_transforms_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = checked(tmp_path).digest(MASTER)
    monkeypatch.setattr(TRANSFORMS["keep"], "data_version", "of another library")
    assert checked(tmp_path).digest(MASTER) != digest


def test_the_digest_changes_with_what_the_laws_make_of_the_evidence(tmp_path: Path) -> None:
    one = checked(tmp_path, HOSHI + "evidence: [notice_recipient]\n")
    assert one.digest(MASTER) != replace(one, evidence=frozenset({"notice_recipient"})).digest(MASTER)


def test_another_spelling_of_the_same_evidence_is_the_same_evidence(tmp_path: Path) -> None:
    found = checked(tmp_path, HOSHI + "evidence: [SCC_with_TIA, Notice]\nalt_basis: [Legitimate_Interests]\n")
    assert found.terms().evidence == {"scc_with_tia", "notice"}
    assert found.terms().alt_basis == {"legitimate_interests"}


def test_contracts_that_give_other_bytes_have_other_digests(tmp_path: Path) -> None:
    """The order of fields is the order of the bytes."""
    reordered = changed("  given_name: keep\n", "") + "  given_name: keep\n"
    one, other = checked(tmp_path), checked(tmp_path, reordered)
    assert partner_schema(one) != partner_schema(other)
    assert one.digest(MASTER) != other.digest(MASTER)


def test_the_digest_of_the_set_is_of_all_its_contracts(tmp_path: Path) -> None:
    one, other = checked(tmp_path), checked(tmp_path, changed("hoshi-card", "adresso"))
    sets = [ContractSet(()), ContractSet((one,)), ContractSet((other,)), ContractSet((other, one))]
    assert all(a.digest(MASTER) != b.digest(MASTER) for a, b in combinations(sets, 2))


# --- what is derived: the partner's schema


def every_leaf(folder: Path, transform: str = "keep") -> CheckedContract:
    head = HOSHI[: HOSHI.index("fields:")]
    return checked(folder, head + "fields:\n" + "".join(f"  {path}: {transform}\n" for path in SOURCE))


def test_a_partners_schema_is_flat_nullable_and_read_by_both_libraries(tmp_path: Path) -> None:
    every = every_leaf(tmp_path)
    text = partner_schema(every)
    schema = json.loads(text)
    assert schema["namespace"] == "partner.hoshi_card"
    assert [field["name"] for field in schema["fields"]] == [partner_field(path) for path in SOURCE]
    for field, leaf in zip(schema["fields"], SOURCE.values(), strict=True):
        assert field["type"][0] == "null"
        assert field["default"] is None
        assert field["data_category"] == leaf.category
        assert field["doc"] == leaf.doc
    avro.schema.parse(text)
    fastavro.parse_schema(json.loads(text))


def test_named_types_are_defined_once(tmp_path: Path) -> None:
    """A schema that used one enum twice would not parse if it were spelled out twice."""
    tier = {"type": "enum", "name": "Tier", "symbols": ["LOW", "HIGH"]}
    source: dict[str, Any] = {
        "type": "record",
        "name": "Customer",
        "namespace": "crm",
        "fields": [
            {"name": "one", "type": tier},
            {"name": "two", "type": ["null", "Tier"]},
            {"name": "many", "type": {"type": "array", "items": "crm.Tier"}},
            {"name": "named", "type": {"type": "map", "values": ["null", "Tier"]}},
            {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 4}},
            {"name": "marks", "type": {"type": "array", "items": "Mark"}},
        ],
    }
    for field in source["fields"]:
        field["data_category"] = "user.account"
    fields = "".join(f"  {field['name']}: keep\n" for field in source["fields"] if isinstance(field, dict))
    one = checked(tmp_path, HOSHI[: HOSHI.index("fields:")] + "fields:\n" + fields, leaves(json.dumps(source)))
    text = partner_schema(one)
    assert text.count('"symbols"') == 1
    assert text.count('"size"') == 1
    avro.schema.parse(text)
    fastavro.parse_schema(json.loads(text))
    last_first = "".join(reversed(fields.splitlines(keepends=True)))
    other = checked(tmp_path, HOSHI[: HOSHI.index("fields:")] + "fields:\n" + last_first, leaves(json.dumps(source)))
    avro.schema.parse(partner_schema(other))


def compatible(reader: str, writer: str) -> bool:
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()
    result = checker.get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    return bool(result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible)


@pytest.mark.parametrize("left_out", ["gender", "loyalty.tier", "address.street", "segments", "customer_id"])
def test_narrowing_a_contract_breaks_no_reader_and_widening_neither(tmp_path: Path, left_out: str) -> None:
    wide = every_leaf(tmp_path)
    rest = "".join(f"  {path}: keep\n" for path in SOURCE if path != left_out)
    narrow = checked(tmp_path, HOSHI[: HOSHI.index("fields:")] + "fields:\n" + rest)
    assert compatible(partner_schema(narrow), partner_schema(wide))
    assert compatible(partner_schema(wide), partner_schema(narrow))


def test_the_compatibility_check_can_fail(tmp_path: Path) -> None:
    text = partner_schema(checked(tmp_path))
    other = json.loads(text)
    other["fields"][1]["type"] = ["null", "string"]
    assert not compatible(json.dumps(other), text)


def test_fields_are_named_flat() -> None:
    assert partner_field("address.postal_code") == "address_postal_code"
    assert partner_field("email") == "email"


def test_every_key_is_in_the_reference_and_nothing_else_is() -> None:
    text = (DEMO.parents[2] / "docs" / "contracts.md").read_text(encoding="utf-8")
    table = text.split("| key | meaning |")[1].split("\n\n")[0]
    documented = {line.split("`")[1].partition(".")[0] for line in table.splitlines() if line.startswith("| `")}
    assert documented == set(Contract.model_fields) - {"same_branding"}, "which stands beside `recipient`"


# --- where the source states what laws ask


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"restricted": "restrictd"}, "settings: `facts.restricted`: "),
        ({"birth_date": "a b["}, "settings: `facts.birth_date`: "),
        ({"residence": "address"}, "settings: `facts.residence`: "),
    ],
)
def test_a_fact_that_the_source_does_not_state_where_the_settings_say_is_refused(
    tmp_path: Path, changes: dict[str, str], problem: str
) -> None:
    write(tmp_path, HOSHI)
    with pytest.raises(DocumentError) as raised:
        check(load_contracts(tmp_path), SOURCE, shipped_law((), replace(AS_IN_OUR_PROFILE, **changes)))
    assert str(raised.value).startswith(problem)


def test_a_source_of_ones_own_may_leave_facts_unstated(tmp_path: Path) -> None:
    poor = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string", "data_category": "user.name"}]}
    text = HOSHI[: HOSHI.index("fields:")] + "fields: {a: keep}\n"
    assert checked(tmp_path, text, leaves(json.dumps(poor))).contract.fields.keys() == {"a"}


@pytest.mark.parametrize("logical", ["timestamp-micros", None])
def test_retention_needs_a_source_that_says_when_it_last_changed_in_milliseconds(
    tmp_path: Path, logical: str | None
) -> None:
    text = HOSHI + "limits: {retain: P30D}\n"
    assert checked(tmp_path, text).terms().retain_ms == 30 * 24 * 60 * 60 * 1000
    other = "string" if logical is None else {"type": "long", "logicalType": logical}
    (problem,) = refusal(tmp_path, text, source_with("updated_at", type=other))
    assert "retention counts from `updated_at`, and the source has no time in milliseconds there" in problem

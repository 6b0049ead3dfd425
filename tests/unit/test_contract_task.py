"""What a service provider may be asked, and what may come back: refused where it stands, or read aloud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas import catalogue
from sluice.contract import CheckedContract, check, load_contracts
from sluice.contract.sentence import sentence
from sluice.document import DocumentError
from sluice.keys import MasterKey
from sluice.law.loading import shipped_law
from sluice.source_schema import leaves

LAW = shipped_law()
SOURCE = leaves(catalogue.text("customer_profile"))
MASTER = MasterKey(bytes(range(32)))
HOUSE = """\
partner: adresso
name: Adresso
recipient: service_provider
purpose: operations.address_hygiene
country: AU
valid: {from: 2026-01-01}
fields: {address.street: keep, segments: keep}
"""
TASK = """\
task:
  reply:
    street: {type: text, category: user.contact.address.street, longest: 40}
    code: {type: one_of, values: [Y, N], category: user.contact.address}
  answer_within: PT12H
  licence: {source: G-NAF, until: 2028-01-01}
"""
HYGIENE = HOUSE.replace(", segments: keep", "") + TASK
MAIL = HOUSE.replace("operations.address_hygiene", "marketing.communications.email").replace("address.street", "email")
CAMPAIGNS = "campaigns: {segment: segments}\n"


def checked(folder: Path, text: str) -> CheckedContract:
    (folder / "one.yaml").write_text(text, encoding="utf-8")
    return check(load_contracts(folder), SOURCE, LAW).contracts[0]


def refusal(folder: Path, text: str) -> list[str]:
    with pytest.raises(DocumentError) as raised:
        checked(folder, text)
    return [line.removeprefix(f"{folder / 'one.yaml'}:") for line in str(raised.value).splitlines()]


def test_a_task_says_what_may_come_back_and_how_it_may_be_used(tmp_path: Path) -> None:
    task = checked(tmp_path, HYGIENE).contract.task
    assert task is not None
    assert task.answer_within == timedelta(hours=12)
    assert task.licence.until_ms == datetime(2028, 1, 1, tzinfo=UTC).timestamp() * 1000
    assert list(task.reply) == ["street", "code"]
    assert checked(tmp_path, HYGIENE.replace(", until: 2028-01-01", "")).contract.task.licence.until_ms is None  # type: ignore[union-attr]


def test_it_is_read_aloud(tmp_path: Path) -> None:
    assert (
        "It is asked once for each customer and state of its data, and may reply within 12 hours with street and code, "
        "for operations.address_hygiene alone, under G-NAF until 2028-01-01."
    ) in sentence(checked(tmp_path, HYGIENE).contract)
    assert ("It sends our campaigns, within 2 days, to those whom it holds then, by segments.") in sentence(
        checked(tmp_path, MAIL + CAMPAIGNS).contract
    )


@pytest.mark.parametrize(("old", "new"), [
    ("service_provider", "corporate_partner"),
    ("service_provider", "third_party_sale"),
    ("operations.address_hygiene", "marketing.communications.postal"),
    ("operations.address_hygiene", "analytics"),
])  # fmt: skip
def test_only_who_works_for_us_is_asked(tmp_path: Path, old: str, new: str) -> None:
    found = refusal(tmp_path, HYGIENE.replace(old, new))
    place = HYGIENE.splitlines().index("task:") + 1
    told = f"{place}:1: `task` is for a service provider with a purpose under `operations`"
    assert any(one.startswith(told) for one in found)


@pytest.mark.parametrize(("old", "new"), [
    ("service_provider", "corporate_partner"),
    ("marketing.communications.email", "operations.address_hygiene"),
])  # fmt: skip
def test_only_who_works_for_us_sends_campaigns(tmp_path: Path, old: str, new: str) -> None:
    found = refusal(tmp_path, (MAIL + CAMPAIGNS).replace(old, new))
    told = "`campaigns` is for a service provider with a purpose under `marketing.communications`"
    assert any(told in one for one in found)


def test_a_campaigns_segment_is_something_that_the_provider_has(tmp_path: Path) -> None:
    (found,) = refusal(tmp_path, MAIL + "campaigns: {segment: segmets}\n")
    assert found.startswith("8:13: the provider cannot choose by `segmets`")
    assert found.endswith("did you mean `segments`?")


@pytest.mark.parametrize("category", [
    "user.demographic.religious_belief", "user.demographic", "user.health_and_medical", "user.location.precise",
    "user.government_id", "user.criminal_record", "user",
])  # fmt: skip
def test_a_sensitive_inference_is_no_answer(tmp_path: Path, category: str) -> None:
    (found,) = refusal(tmp_path, HYGIENE.replace("user.contact.address}", f"{category}}}"))
    assert found == (
        f"11:5: `code` is, or may be, a sensitive fact (`{category}`): "
        "what a provider infers of that kind is not taken in"
    )


@pytest.mark.parametrize(("old", "new", "told"), [
    ("longest: 40", "longest: 0", "10:"),
    ("type: text", "type: txt", "10:"),
    ("type: text", "type: number", "`longest` is for the type `text`"),
    ("values: [Y, N], ", "", "a `one_of` needs `values`"),
    ("values: [Y, N]", "values: [Y, N], at_most: 3", "`at_most` is for the type `number`"),
    ("category: user.contact.address}", "category: user.contact.adress}", "there is no data category"),
    ("  licence: {source: G-NAF, until: 2028-01-01}\n", "", "the key `licence` is missing"),
    ("PT12H", "12 hours", "is not an ISO 8601 duration"),
    ("    code:", "    Code:", "string should match pattern"),
    ("source: G-NAF,", "source: G-NAF, purpose: x,", "there is no key `purpose` here"),
    ("  answer_within", "  purpose_limits: [operations.adress_hygiene]\n  answer_within", "operations.adress_hygiene"),
])  # fmt: skip
def test_one_wrong_word_has_the_contract_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert HYGIENE.count(old) == 1
    found = refusal(tmp_path, HYGIENE.replace(old, new))
    assert any(told in one for one in found), found


def test_what_is_asked_changes_nothing_of_what_is_given(tmp_path: Path) -> None:
    """Nobody is reconciled because something else is asked about whom the provider holds."""
    assert checked(tmp_path, HYGIENE).digest(MASTER) == checked(tmp_path, HYGIENE.replace(TASK, "")).digest(MASTER)
    assert checked(tmp_path, MAIL + CAMPAIGNS).digest(MASTER) == checked(tmp_path, MAIL).digest(MASTER)

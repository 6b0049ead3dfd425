"""A recorded contract set: who has it and the master key can decide as the processor did, and nothing slips in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import catalogue
from sluice.contract import ContractSet, check, load_contracts
from sluice.errors import SluiceError
from sluice.facts import AS_IN_OUR_PROFILE
from sluice.keys import MasterKey, table_key
from sluice.law.loading import load_law, shipped_packs
from sluice.model import PartnerId
from sluice.recorded_set import RecordedPartner, RecordedSet, decode, load, partners, texts
from sluice.source_schema import leaves
from sluice.token_table import issue, table_path
from tests.unit.installation import ADRESSO, HOSHI, checked
from tests.unit.transforming import MASTER

CONTRACT = """\
partner: hoshi-card
name: Hoshi Card
recipient: corporate_partner
purpose: marketing.communications.email
country: JP
valid: {from: 2026-01-01}
fields: {given_name: {token: members}, email: keep}
"""
FACTS = {name: str(getattr(AS_IN_OUR_PROFILE, name)) for name in AS_IN_OUR_PROFILE.__slots__}
DAYS_3 = 3 * 86_400_000
A, B = PartnerId("hoshi-card"), PartnerId("adresso")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Contracts with a token table, and what has no business in a set."""
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    (contracts / "hoshi.yaml").write_text(CONTRACT, encoding="utf-8")
    (contracts / "notes.txt").write_text("not a contract", encoding="utf-8")
    issue(table_path(contracts, "members"), table_key(MASTER, "members"), ["Hanako", "花子"])
    return contracts


def recorded(folder: Path, master: MasterKey = MASTER) -> RecordedSet:
    with shipped_packs() as laws:
        return RecordedSet(
            contracts=texts(folder, ("*.yaml", "*.yml", "tokens/*.csv")),
            laws=texts(laws, ("*.yaml", "*.yml")),
            source_schema=catalogue.text("customer_profile"),
            source_priority=("crm-a", "crm-b"),
            facts=FACTS,
            partners=(RecordedPartner(A, "id-1", "id-2", DAYS_3),),
            master_key=master.fingerprint,
        )


def _loaded_from(folder: Path) -> ContractSet:
    with shipped_packs() as laws:
        law = load_law(laws, ("crm-a", "crm-b"))
    return check(load_contracts(folder), leaves(catalogue.text("customer_profile")), law)


def again(one: RecordedSet) -> RecordedSet:
    return decode(one.digest.encode(), one.encode())


def test_a_set_survives_the_log_and_is_carried_out_as_the_files_say(folder: Path) -> None:
    one = recorded(folder)
    assert again(one) == one
    loaded = load(again(one), MASTER)
    assert loaded.contracts.digest(MASTER) == _loaded_from(folder).digest(MASTER)
    assert loaded.digest == one.digest
    assert loaded.law.digest == loaded.contracts.law


def test_a_set_holds_contracts_token_tables_and_laws_and_nothing_else_of_the_folder(folder: Path) -> None:
    one = recorded(folder)
    assert set(one.contracts) == {"hoshi.yaml", "tokens/members.csv"}
    assert {"EU.yaml", "data_classes.yaml", "evidence.yaml"} <= one.laws.keys()
    assert "Hanako" not in one.encode().decode()


def test_a_set_is_carried_out_without_the_files(folder: Path) -> None:
    one = recorded(folder)
    expected = load(one, MASTER).rules
    for file in (*folder.glob("*.*"), *folder.glob("tokens/*")):
        file.unlink()
    assert load(one, MASTER).rules == expected


def test_the_digest_is_of_all_of_it(folder: Path) -> None:
    one = recorded(folder)
    partner = msgspec.structs.replace(one.partners[0], ended=True)
    changes: list[Mapping[str, Any]] = [
        {"contracts": {**one.contracts, "hoshi.yaml": CONTRACT + "# note\n"}},
        {"contracts": {**one.contracts, "tokens/members.csv": ""}},
        {"laws": {**one.laws, "EU.yaml": ""}},
        {"source_schema": "{}"},
        {"source_priority": ("crm-b", "crm-a")},
        {"facts": {**FACTS, "residence": "address.country"}},
        {"partners": (partner,)},
        {"master_key": "another"},
    ]
    digests = {msgspec.structs.replace(one, **change).digest for change in changes}
    assert len({one.digest, *digests}) == len(changes) + 1
    shuffled = msgspec.structs.replace(one, laws=dict(reversed(one.laws.items())))
    assert shuffled.digest == one.digest, "files have no order"


def test_the_source_priority_and_the_places_of_facts_are_those_of_the_set(folder: Path) -> None:
    one = msgspec.structs.replace(recorded(folder), facts={**FACTS, "residence": "address.country"})
    law = load(one, MASTER).law
    assert law.paths.residence == "address.country"
    assert load(msgspec.structs.replace(one, source_priority=()), MASTER).rules != load(one, MASTER).rules


def test_a_set_that_was_altered_is_refused(folder: Path) -> None:
    one = recorded(folder)
    other = one.encode().replace(b"given_name", b"birth_date")
    assert other != one.encode()
    with pytest.raises(SluiceError, match="was altered: run `sluice apply` again"):
        decode(one.digest.encode(), other)
    with pytest.raises(SluiceError, match="was altered"):
        decode(b"0" * 32, one.encode())
    with pytest.raises(SluiceError, match="was altered"):
        decode(None, one.encode())


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"\x00\x00\x00\x00\x01", b'{"contracts": 5}'])
def test_what_is_no_set_is_refused(value: bytes | None) -> None:
    with pytest.raises(SluiceError, match=r"no contract set: run `sluice apply` again"):
        decode(b"key", value)


def test_a_set_of_another_master_key_is_refused(folder: Path) -> None:
    other = MasterKey(bytes(32))
    with pytest.raises(SluiceError, match="recorded with another master key: restore that key"):
        load(recorded(folder, other), MASTER)


def test_a_set_holds_no_key(folder: Path) -> None:
    text = recorded(folder).encode()
    assert MASTER.fingerprint.encode() in text
    assert bytes(range(32)) not in text
    assert bytes(range(32)).hex().encode() not in text


@pytest.mark.parametrize("where", ["contracts", "laws"])
@pytest.mark.parametrize("name", ["../escaped.yaml", "../../escaped.yaml", "a/../../escaped.yaml", "ABSOLUTE"])
def test_a_set_that_names_a_file_outside_of_its_folder_writes_nothing(
    folder: Path, tmp_path: Path, where: str, name: str
) -> None:
    outside = tmp_path / "escaped.yaml"
    path = str(outside) if name == "ABSOLUTE" else name
    one = recorded(folder)
    bad = msgspec.structs.replace(one, **{where: {path: "canary", **getattr(one, where)}})
    with pytest.raises(SluiceError, match=r"names a file outside of its folder"):
        load(bad, MASTER)
    assert not outside.exists()


def test_a_set_with_a_wrong_contract_is_refused_with_its_place(folder: Path) -> None:
    one = recorded(folder)
    wrong = {**one.contracts, "hoshi.yaml": CONTRACT.replace("given_name", "given_nme")}
    with pytest.raises(SluiceError, match="given_nme"):
        load(msgspec.structs.replace(one, contracts=wrong), MASTER)


# --- partners, and those that were


def contracts(*written: Mapping[str, Any]) -> ContractSet:
    return ContractSet(tuple(checked(one) for one in written))


IDS: Mapping[PartnerId, tuple[str, str]] = {A: ("a1", "a2"), B: ("b1", "b2")}
BOTH = (RecordedPartner(B, "b1", "b2", DAYS_3), RecordedPartner(A, "a1", "a2", DAYS_3))


def before(folder: Path, *known: RecordedPartner) -> RecordedSet:
    return msgspec.structs.replace(recorded(folder), partners=known)


def test_partners_are_those_of_the_contracts_by_name_with_their_deadlines() -> None:
    hasty = {**HOSHI, "limits": {"acknowledge_within": "PT6H"}}
    assert partners(contracts(hasty, ADRESSO), IDS, None) == (
        RecordedPartner(B, "b1", "b2", DAYS_3),
        RecordedPartner(A, "a1", "a2", 6 * 3_600_000),
    )


def test_a_partner_whose_contract_has_gone_stays_and_is_marked(folder: Path) -> None:
    gone = partners(contracts(HOSHI), IDS, before(folder, *BOTH))
    assert gone == (RecordedPartner(B, "b1", "b2", DAYS_3, ended=True), BOTH[1])
    assert partners(contracts(HOSHI), IDS, before(folder, *gone)) == gone, "and stays so"


def test_a_partner_that_comes_back_is_one_again(folder: Path) -> None:
    ended = msgspec.structs.replace(BOTH[0], ended=True)
    assert partners(contracts(HOSHI, ADRESSO), IDS, before(folder, ended, BOTH[1])) == BOTH


@pytest.mark.parametrize("ids", [("x", "a2"), ("a1", "x")])
def test_a_partner_whose_topic_was_re_created_is_refused_with_what_to_do(folder: Path, ids: tuple[str, str]) -> None:
    with pytest.raises(SluiceError, match=r"The topics of hoshi-card were re-created, .*: take its contract out"):
        partners(contracts(HOSHI, ADRESSO), {**IDS, A: ids}, before(folder, *BOTH))


def test_the_way_out_works(folder: Path) -> None:
    """Contract out, recalled, contract back: each step is accepted, and the topics are known by their new ids."""
    ids = {**IDS, A: ("new-1", "new-2")}
    out = partners(contracts(ADRESSO), ids, before(folder, *BOTH))
    assert out[1] == RecordedPartner(A, "new-1", "new-2", DAYS_3, ended=True)
    back = partners(contracts(ADRESSO, HOSHI), ids, before(folder, *out))
    assert back[1] == RecordedPartner(A, "new-1", "new-2", DAYS_3)


def test_topics_of_a_former_partner_may_be_re_created_before_it_comes_back(folder: Path) -> None:
    ended = msgspec.structs.replace(BOTH[1], ended=True)
    back = partners(contracts(ADRESSO, HOSHI), {**IDS, A: ("new-1", "new-2")}, before(folder, BOTH[0], ended))
    assert back[1] == RecordedPartner(A, "new-1", "new-2", DAYS_3)

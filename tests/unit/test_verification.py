"""The proof's core on small logs written by hand: what is equal, what differs and by which fault, what is not known."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sluice import keys, topics
from sluice.keys import NoKey
from sluice.model import Cause, Millis, Reason
from sluice.projection import RECORD_OVERHEAD_BYTES
from stream_processors.review import recomputing
from stream_processors.review.findings import Doubt, Fault, State
from stream_processors.review.recomputing import Allowed, Refused
from tests.unit.evidence_by_hand import (
    CONTRACT,
    DAY_MS,
    ELSEWHERE,
    HERE,
    HOSHI,
    NOW,
    ONE,
    OTHER_PARTNER,
    TWO,
    Logs,
)


def consented(**more: Any) -> Logs:  # noqa: ANN401 - of `Logs`
    """Somebody who may be shared, and is not yet."""
    logs = Logs(**more)
    logs.say()
    logs.update()
    return logs


def shared(**more: Any) -> Logs:  # noqa: ANN401 - of `Logs`
    logs = consented(**more)
    logs.share()
    return logs


def test_what_may_be_held_is_written_out_by_hand() -> None:
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    assert logs.book.codec.read(allowed.record) == {
        "customer_id": logs.pseudonym(),
        "given_name": "Ha",
        "family_name": "Mori",
        "birth_date": 1980,
        "email": "hana@example.com",
    }


def test_equal_and_held() -> None:
    figures = shared().verify()
    assert figures.states == {HOSHI: {State.EQUAL: 1}}
    assert figures.held == {HOSHI: 1}
    assert not figures.faults


def test_equal_and_nothing_held() -> None:
    logs = Logs()
    logs.update()
    logs.say(customer=TWO)
    figures = logs.verify()
    assert figures.states == {HOSHI: {State.EQUAL: 2}}
    assert figures.held == {HOSHI: 0}


def test_a_recall_leaves_nothing() -> None:
    logs = consented()
    allowed = logs.share()
    logs.say("WITHDRAWN", said=NOW - DAY_MS)
    logs.disclose(allowed, action="RECALLED", fields=[], digest=None)
    logs.deliver(None, allowed.pseudonym)
    assert logs.state() is State.EQUAL


# the partner's topic against the disclosures


def test_a_value_that_nobody_wrote() -> None:
    logs = consented()
    allowed = logs.share()
    logs.deliver(logs.partner_record(allowed, email="x@example.com"), allowed.pseudonym)
    found = logs.difference()
    assert found.faults == (Fault.VALUE_DIFFERS, Fault.DIGEST_DIFFERS)
    assert (found.fields, found.pseudonym) == (("email",), allowed.pseudonym)
    assert found.values == {"email": ("x@example.com", "hana@example.com")}


def test_a_value_that_was_disclosed_so_and_is_wrong() -> None:
    """The processor's own mistake: topic and disclosure agree with each other."""
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    wrong = logs.partner_record(allowed, given_name="Hana")
    logs.disclose(allowed, digest=keys.keyed_digest(logs.agreement.keys.digest, wrong))
    logs.deliver(wrong, allowed.pseudonym)
    assert logs.difference().faults == (Fault.VALUE_DIFFERS,)


def test_missing_in_the_topic() -> None:
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    logs.disclose(allowed)
    assert logs.difference().faults == (Fault.MISSING_IN_TOPIC,)
    logs.deliver(allowed.record, allowed.pseudonym)
    assert logs.state() is State.EQUAL
    logs.deliver(None, allowed.pseudonym)
    assert logs.difference().faults == (Fault.MISSING_IN_TOPIC,)
    assert logs.difference(settled=False).faults == (Fault.MISSING_IN_TOPIC,)


def test_in_the_topic_and_in_no_disclosure() -> None:
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    logs.deliver(allowed.record, allowed.pseudonym)
    found = logs.difference()
    assert found.faults == (Fault.NOT_DISCLOSED,)
    assert (found.customer, found.pseudonym) == (ONE, allowed.pseudonym)
    assert found.evidence.delivered == (f"{topics.customers(HOSHI)}/{HERE}@0",)


def test_in_the_topic_and_recalled() -> None:
    logs = consented()
    allowed = logs.share()
    logs.say("WITHDRAWN", said=NOW - DAY_MS)
    logs.disclose(allowed, action="RECALLED", fields=[], digest=None)
    assert logs.difference().faults == (Fault.NOT_DISCLOSED,)


def test_left_in_the_topic_under_an_older_pseudonym() -> None:
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    logs.disclose(allowed, pseudonym="older")
    logs.deliver(allowed.record, "older")
    logs.disclose(allowed, action="RECALLED", pseudonym="older", fields=[], digest=None)
    logs.share()
    found = logs.difference()
    assert (found.faults, found.customer) == ((Fault.NOT_DISCLOSED,), ONE)
    logs.deliver(None, "older")
    assert logs.state() is State.EQUAL


def test_a_record_that_belongs_to_nobody() -> None:
    logs = shared()
    logs.deliver(b"whatever", "nobody")
    found = logs.difference()
    assert found.faults == (Fault.NOT_DISCLOSED,)
    assert (found.customer, found.pseudonym) == (None, "nobody")
    logs.deliver(None, "nobody")
    assert not logs.verify().faults


def test_bytes_that_are_no_record() -> None:
    logs = consented()
    allowed = logs.share()
    logs.deliver(allowed.record[:-1], allowed.pseudonym)
    assert logs.difference().faults == (Fault.RECORD_UNREADABLE, Fault.DIGEST_DIFFERS)


def test_the_same_values_under_another_schema() -> None:
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    other = logs.partner_record(allowed, OTHER_PARTNER)
    logs.disclose(allowed, digest=keys.keyed_digest(logs.agreement.keys.digest, other))
    logs.deliver(other, allowed.pseudonym)
    assert logs.difference().faults == (Fault.SCHEMA_DIFFERS,)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"digest": bytes(16)}, Fault.DIGEST_DIFFERS),
        ({"contract": "0" * 32}, Fault.CONTRACT_DIFFERS),
        ({"key_epoch": 2, "digest": bytes(16)}, Fault.KEY_EPOCH_DIFFERS),
        ({"fields": ["customer_id", "family_name"]}, Fault.FIELDS_DIFFER),
        ({"fields": ["customer_id", "given_name", "family_name", "birth_date", "email", "note"]}, Fault.FIELDS_DIFFER),
        ({"consents": []}, Fault.BASIS_DIFFERS),
        ({"rules": ["US-CA-R1"]}, Fault.BASIS_DIFFERS),
        ({"expires_at": NOW + 1}, Fault.BASIS_DIFFERS),
        ({"rectified_at": NOW}, Fault.BASIS_DIFFERS),
        ({"action": "REAFFIRMED", "reason": "processing_restricted"}, Fault.RESTRICTION_DIFFERS),
        ({"pseudonym": "another"}, Fault.PSEUDONYM_DIFFERS),
    ],
)
def test_disclosed_otherwise(entry: dict[str, Any], fault: Fault) -> None:
    logs = consented()
    logs.share(**entry)
    assert logs.difference().faults == (fault,)


def test_a_disclosure_that_cannot_be_read() -> None:
    logs = shared()
    logs.append(topics.DISCLOSURES, ONE.encode(), b"\x00garbage")
    assert logs.difference().faults == (Fault.DISCLOSURE_UNREADABLE,)


def test_a_disclosure_in_the_wrong_partition() -> None:
    logs = shared()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    logs.disclose(allowed, ELSEWHERE)
    found = logs.difference()
    assert (found.faults, found.customer) == ((Fault.WRONG_PARTITION,), ELSEWHERE)
    assert logs.state(disclosures=1) is State.EQUAL
    assert not logs.verify(disclosures=1).faults


def test_disclosures_count_from_where_the_evidence_begins() -> None:
    """After a loss it was written anew; what is left of before tells nothing."""
    logs = consented()
    logs.disclose(logs.share(), fields=[])
    logs.share()
    assert logs.state(evidence_from=2) is State.EQUAL
    assert logs.difference(evidence_from=3).faults == (Fault.NOT_DISCLOSED,)


# both against the recomputation


RESTRICTED = {"action": "REAFFIRMED", "reason": "processing_restricted"}


def kept(**entry: Any) -> Logs:  # noqa: ANN401 - an entry's fields
    """Shared, then restricted; since then the values have changed at the source."""
    logs = consented()
    logs.disclose(logs.share(), **RESTRICTED, **entry)
    logs.update(restricted=True, email="hana@example.org")
    return logs


def test_whoever_is_restricted_is_kept_as_it_was() -> None:
    logs = kept()
    assert logs.verify().states == {HOSHI: {State.EQUAL: 1}}
    logs.deliver(None, logs.pseudonym())
    assert logs.difference().faults == (Fault.MISSING_IN_TOPIC,)


def test_a_restriction_nobody_was_told_of() -> None:
    logs = shared()
    logs.update(restricted=True)
    found = logs.difference()
    assert found.faults == (Fault.RESTRICTION_DIFFERS,)
    assert found.refused == Reason.PROCESSING_RESTRICTED


def test_a_restriction_that_is_over_and_nobody_was_told() -> None:
    logs = kept()
    logs.update()
    assert logs.difference().faults == (Fault.RESTRICTION_DIFFERS,)


def test_kept_on_another_basis_than_disclosed() -> None:
    assert kept(consents=[]).difference().faults == (Fault.BASIS_DIFFERS,)


@pytest.mark.parametrize(
    ("state", "scope", "reason"),
    [("WITHDRAWN", ["*"], Reason.WITHDRAWN), ("WITHDRAWN", ["user.contact"], Reason.PROCESSING_RESTRICTED)],
)
def test_a_withdrawal_ignored_because_processing_is_restricted(state: str, scope: list[str], reason: Reason) -> None:
    logs = kept()
    logs.say(state, said=NOW - DAY_MS, data_scope=scope)
    found = logs.difference()
    assert (found.faults, found.refused) == ((Fault.HELD_WITHOUT_REASON,), reason)


def test_kept_under_a_former_contract() -> None:
    assert kept(contract="0" * 32).difference().faults == (Fault.HELD_WITHOUT_REASON,)


def test_kept_on_as_before() -> None:
    logs = kept()
    allowed = consented().answer()
    assert isinstance(allowed, Allowed)
    logs.disclose(allowed, action="REAFFIRMED", reason="still_restricted")
    assert logs.state() is State.EQUAL


def test_nothing_is_shared_newly_while_processing_is_restricted() -> None:
    logs = consented()
    logs.update(restricted=True)
    assert logs.verify().states == {HOSHI: {State.EQUAL: 1}}


def test_a_withdrawal_ignored() -> None:
    logs = shared()
    before = logs.end(topics.CONSENT_EVENTS)
    logs.say("WITHDRAWN", said=NOW - DAY_MS)
    assert logs.state(consents=before) is State.EQUAL
    found = logs.difference()
    assert found.faults == (Fault.HELD_WITHOUT_REASON,)
    assert found.refused == Reason.WITHDRAWN
    assert found.held is not None
    assert found.allowed is None
    assert found.evidence.consents[-1] == f"WITHDRAWN-{NOW - DAY_MS}"
    assert found.evidence.update == f"{topics.CUSTOMER_UPDATES}/{HERE}@0"
    assert found.evidence.disclosure == f"{topics.DISCLOSURES}/{HERE}@0"


def test_a_deletion_ignored() -> None:
    logs = shared()
    logs.append(topics.CUSTOMER_UPDATES, ONE.encode(), None)
    assert logs.difference().refused == Reason.DELETED_AT_SOURCE


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x00\x00\x00\x00\x63x"])
def test_an_update_that_cannot_be_read_lets_nothing_be_held(damage: bytes) -> None:
    logs = shared()
    logs.append(topics.CUSTOMER_UPDATES, ONE.encode(), damage)
    assert logs.difference().refused == Reason.PROFILE_UNREADABLE


def test_an_update_with_bytes_beyond_its_end_lets_nothing_be_held() -> None:
    logs = shared()
    whole = logs.records[1].value
    assert whole is not None
    logs.append(topics.CUSTOMER_UPDATES, ONE.encode(), whole + b"\x00")
    assert logs.difference().refused == Reason.PROFILE_UNREADABLE


def test_somebody_without_update_may_not_be_held() -> None:
    logs = shared()
    logs.records = [record for record in logs.records if record.topic != topics.CUSTOMER_UPDATES]
    assert logs.difference().refused == Reason.NO_PROFILE


def test_a_consent_event_that_cannot_be_read_denies_until_it_is_acknowledged() -> None:
    def damaged(**more: Any) -> Logs:  # noqa: ANN401 - of `Logs`
        logs = shared(**more)
        logs.append(topics.CONSENT_EVENTS, ONE.encode(), b"\x00garbage")
        return logs

    found = damaged().difference()
    assert found.refused == Reason.CONSENT_UNREADABLE
    place = f"{topics.CONSENT_EVENTS}/{HERE}@1"
    assert place in found.evidence.consents
    assert damaged(acknowledged=(place,)).state() is State.EQUAL


def test_a_consent_event_about_somebody_else_denies() -> None:
    logs = shared()
    logs.append(topics.CONSENT_EVENTS, ONE.encode(), logs.records[0].value)
    assert logs.state() is State.EQUAL
    logs.say(subject_id="crm:other")
    assert logs.difference().refused == Reason.CONSENT_UNREADABLE


def test_records_that_name_nobody_here_are_nobodys() -> None:
    logs = shared()
    value = logs.records[0].value
    for key in (None, b"", b"\xff\xfe", ELSEWHERE.encode()):
        logs.append(topics.CONSENT_EVENTS, key, value)
        logs.append(topics.CUSTOMER_UPDATES, key, None)
    assert logs.verify().states == {HOSHI: {State.EQUAL: 1}}


def test_withheld_without_reason_once_nobody_waits() -> None:
    logs = consented()
    found = logs.difference()
    assert found.faults == (Fault.WITHHELD_WITHOUT_REASON,)
    assert found.allowed is not None
    assert logs.state(settled=False) is State.WAITING


def test_the_end_of_a_grant() -> None:
    logs = Logs()
    logs.say(valid_until=NOW + 1)
    logs.update()
    logs.share()
    assert logs.state() is State.EQUAL
    found = logs.difference(now=Millis(NOW + 1))
    assert found.faults == (Fault.EXPIRED,)
    assert found.refused == Reason.GRANT_EXPIRED


def test_the_end_of_a_contract() -> None:
    logs = shared(valid={"from": date(2026, 1, 1), "until": date(2027, 1, 1)})
    end = 1_798_761_600_000
    assert logs.state(now=Millis(end - 1)) is State.EQUAL
    assert logs.difference(now=Millis(end)).faults == (Fault.EXPIRED,)


def test_the_end_of_retention() -> None:
    logs = consented(limits={"retain": "P30D"})
    end = Millis(NOW + 25 * DAY_MS)
    assert logs.share().until == end
    assert logs.state(now=Millis(end - 1)) is State.EQUAL
    found = logs.difference(now=end)
    assert (found.faults, found.refused) == ((Fault.EXPIRED,), Reason.RETENTION_ENDED)


def test_expired_whatever_end_was_disclosed() -> None:
    logs = consented(limits={"retain": "P30D"})
    logs.share(expires_at=None)
    assert logs.difference(now=Millis(NOW + 25 * DAY_MS)).faults == (Fault.EXPIRED,)


def test_an_age_in_the_row_filter_ends_with_a_birthday() -> None:
    logs = Logs(where={"birth_date": {"age": {"below": 50}}})
    logs.say()
    logs.update(birth_date=4000)  # 1980-12-14
    assert logs.share().until == 1_923_436_800_000  # 2030-12-14


def test_outside_the_row_filter() -> None:
    logs = shared()
    logs.update(address={"city": "Lyon", "postal_code": "69001", "country": "FR"}, residence="AU")
    assert logs.difference().refused == Reason.OUTSIDE_ROW_FILTER


def test_a_required_field_that_is_missing() -> None:
    logs = shared()
    logs.update(family_name=None)
    assert logs.difference().refused == Reason.REQUIRED_FIELD_MISSING


def test_a_record_too_large_for_the_topic() -> None:
    logs = consented()
    allowed = logs.answer()
    assert isinstance(allowed, Allowed)
    size = len(allowed.pseudonym) + len(allowed.record) + recomputing.OVERHEAD_BYTES
    assert isinstance(consented(max_bytes=size).answer(), Allowed)
    assert consented(max_bytes=size - 1).answer() == Refused(Cause.RECORD_TOO_LARGE)
    assert recomputing.OVERHEAD_BYTES == RECORD_OVERHEAD_BYTES


def test_a_former_partner_may_hold_nothing() -> None:
    logs = consented(former=True)
    assert logs.state() is State.EQUAL
    logs.share()
    found = logs.difference()
    assert (found.faults, found.refused) == ((Fault.HELD_WITHOUT_REASON,), Reason.CONTRACT_ENDED)


def test_a_paused_contract_adds_nobody_and_maintains_what_is_held() -> None:
    logs = consented(paused=True)
    assert logs.state() is State.EQUAL
    assert logs.answer() == Refused(Reason.CONTRACT_PAUSED)
    running = consented()
    running.share()
    logs.records, logs.agreement = running.records, logs.agreement
    assert logs.difference().faults == (Fault.CONTRACT_DIFFERS,)
    logs.say("WITHDRAWN", said=NOW - DAY_MS)
    assert logs.difference().refused == Reason.WITHDRAWN


# what is not settled


def narrower(logs: Logs) -> None:
    """The customer is shared as a contract without e-mail had it, in an unsettled partition."""
    fields = {path: rule for path, rule in CONTRACT["fields"].items() if path != "email"}
    before = consented(fields=fields).answer()
    allowed = logs.answer()
    assert isinstance(before, Allowed)
    assert isinstance(allowed, Allowed)
    record = logs.partner_record(allowed, email=None)
    digest = keys.keyed_digest(logs.agreement.keys.digest, record)
    logs.disclose(allowed, fields=list(before.fields), digest=digest)
    logs.deliver(record, allowed.pseudonym)


def test_who_holds_fewer_fields_waits_while_the_partition_is_not_settled() -> None:
    logs = consented()
    narrower(logs)
    assert logs.state(settled=False) is State.WAITING
    assert logs.difference().faults == (Fault.FIELDS_DIFFER, Fault.VALUE_DIFFERS)


def test_who_holds_more_is_pending_while_the_partition_is_not_settled() -> None:
    logs = shared()
    logs.say("WITHDRAWN", said=NOW - DAY_MS)
    assert logs.state(settled=False) is State.PENDING
    former = consented(former=True)
    former.share()
    assert former.state(settled=False) is State.PENDING


def test_topic_and_disclosures_agree_even_where_nothing_is_settled() -> None:
    logs = consented()
    allowed = logs.share()
    assert logs.state(settled=False) is State.EQUAL
    logs.deliver(logs.partner_record(allowed, email=None), allowed.pseudonym)
    assert logs.difference(settled=False).faults == (Fault.DIGEST_DIFFERS,)


# what moves


def test_who_is_disclosed_after_the_cut_is_moving_and_never_equal() -> None:
    logs = consented()
    allowed = logs.share()
    cut = logs.end(topics.DISCLOSURES)
    logs.disclose(allowed)
    assert logs.state(disclosures=cut) is State.MOVING
    logs.deliver(None, allowed.pseudonym)
    assert logs.state(disclosures=cut) is State.MOVING


def test_inputs_and_disclosures_are_compared_even_of_who_is_moving() -> None:
    logs = consented()
    allowed = logs.share()
    logs.say("WITHDRAWN", said=NOW - DAY_MS)
    cut = logs.end(topics.DISCLOSURES)
    logs.disclose(allowed, action="RECALLED", fields=[], digest=None)
    assert logs.difference(disclosures=cut).faults == (Fault.HELD_WITHOUT_REASON,)
    assert logs.state(disclosures=cut, settled=False) is State.MOVING


# what compaction may have removed


def test_an_update_after_the_cut_does_not_count() -> None:
    logs = shared()
    logs.update(given_name="Other")
    assert logs.state(updates=1) is State.EQUAL


def test_an_update_that_may_have_been_compacted_away_leaves_its_customer_indeterminate() -> None:
    """0: what is seen; 1: gone; 2: the newer one, after the cut. The one at 1 may have been this customer's."""
    logs = shared()
    logs.update(at=2, given_name="Other")
    figures = logs.verify(updates=2)
    assert figures.states == {HOSHI: {State.INDETERMINATE: 1}}
    assert figures.doubts == {Doubt.SUPERSEDED: 1}


def test_no_update_seen_before_the_cut_is_not_the_same_as_none() -> None:
    logs = consented()
    logs.share()
    logs.records = [record for record in logs.records if record.topic != topics.CUSTOMER_UPDATES]
    logs.update(at=1)
    assert logs.state(updates=1) is State.INDETERMINATE
    assert logs.difference(updates=0).refused == Reason.NO_PROFILE


def test_a_gap_before_the_newest_update_says_nothing() -> None:
    logs = Logs()
    logs.say()
    logs.update(at=3)
    logs.share()
    logs.update(at=4, given_name="Other")
    assert logs.state(updates=4) is State.EQUAL


def test_a_gap_after_the_cut_says_nothing() -> None:
    logs = shared()
    logs.update(at=3, given_name="Other")
    assert logs.state(updates=1) is State.EQUAL


def test_a_deletion_after_the_cut_may_itself_be_gone() -> None:
    """0: this customer's update, gone with its tombstone at 2; 3: somebody else's, the newest of all."""
    logs = shared()
    logs.records = [record for record in logs.records if record.topic != topics.CUSTOMER_UPDATES]
    logs.update(TWO, at=3)
    assert logs.verify(updates=2).states == {HOSHI: {State.INDETERMINATE: 2}}
    figures = logs.verify(updates=4)
    assert figures.states == {HOSHI: {State.DIFFERENT: 1, State.EQUAL: 1}}
    assert figures.differences[0].refused == Reason.NO_PROFILE


def test_topic_and_disclosures_agree_even_of_who_is_indeterminate() -> None:
    logs = consented()
    allowed = logs.share()
    logs.update(at=2, given_name="Other")
    logs.deliver(None, allowed.pseudonym)
    assert logs.difference(updates=2).faults == (Fault.MISSING_IN_TOPIC,)


# customers' own keys

SEALED = {**CONTRACT["fields"], "email": "aes_gcm"}


def test_a_field_that_is_sealed_with_the_customers_own_key() -> None:
    logs = shared(fields=SEALED, own_key=bytes(32))
    assert logs.state() is State.EQUAL
    other = Logs(fields=SEALED, own_key=bytes(range(32)))
    other.records = logs.records
    assert other.difference().fields == ("email",)


def test_what_was_sealed_before_the_key_was_destroyed_cannot_be_recomputed() -> None:
    logs = shared(fields=SEALED, own_key=bytes(32))
    after = Logs(fields=SEALED, own_key=NoKey.DESTROYED)
    after.records = logs.records
    figures = after.verify()
    assert figures.states == {HOSHI: {State.INDETERMINATE: 1}}
    assert figures.doubts == {Doubt.KEY_DESTROYED: 1}
    after.update(given_name="Other")
    assert after.difference().fields == ("email", "given_name")


def test_a_required_field_that_was_sealed_before_the_key_was_destroyed() -> None:
    required = {**SEALED, "email": {"aes_gcm": {"required": True}}}
    after = Logs(fields=required, own_key=NoKey.DESTROYED)
    after.records = shared(fields=required, own_key=bytes(32)).records
    assert after.verify().doubts == {Doubt.KEY_DESTROYED: 1}


def test_a_record_made_after_the_key_was_destroyed_has_the_field_empty() -> None:
    assert shared(fields=SEALED, own_key=NoKey.DESTROYED).state() is State.EQUAL

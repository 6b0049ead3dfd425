"""Logs of one partition written by hand, for the tests of the proof; what is right is recomputed, then damaged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from schemas import catalogue
from sluice import keys, topics
from sluice.avro import Writer
from sluice.contract import partner_schema
from sluice.keys import CustomerKey, MasterKey, NoKey
from sluice.log import Positions, Record
from sluice.model import CustomerId, Millis, PartnerId, Pseudonym
from sluice.partitioning import partition_of
from sluice.registry import SchemaNotFound
from stream_processors.review import recomputing, verification
from stream_processors.review.apache_avro import Codec
from stream_processors.review.evidence import Cut
from stream_processors.review.findings import Difference, Figures, State
from stream_processors.review.gathering import Gathered
from stream_processors.review.recomputing import Agreement, Allowed, Answer, Book
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from tests.unit.installation import checked, law

HOSHI = PartnerId("hoshi-card")
NOW = Millis(1_780_000_000_000)
DAY_MS = 86_400_000
PARTITIONS = 4
MASTER = MasterKey(bytes(range(32)))
PROFILE, CONSENT, DISCLOSURE, PARTNER, OTHER_PARTNER = 1, 2, 3, 4, 5
CONTRACT: Mapping[str, Any] = {
    "partner": HOSHI,
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "JP",
    "valid": {"from": date(2026, 1, 1)},
    "evidence": ["notice_names_recipient", "third_party_contract"],
    "fields": {
        "customer_id": "pseudonym",
        "given_name": {"truncate": 2},
        "family_name": {"keep": {"required": True}},
        "birth_date": "birth_year",
        "email": "keep",
    },
    "where": {"address.country": ["AU", "JP"]},
}
HERE = next(p for p in range(PARTITIONS) if p == partition_of(b"crm:1", PARTITIONS))
ONE = CustomerId("crm:1")
TWO = next(CustomerId(f"crm:{n}") for n in range(2, 99) if partition_of(f"crm:{n}".encode(), PARTITIONS) == HERE)
ELSEWHERE = next(CustomerId(f"crm:{n}") for n in range(2, 99) if partition_of(f"crm:{n}".encode(), PARTITIONS) != HERE)


class Logs:
    """Everything is appended; `at` the offset that a test wants, else the next one."""

    def __init__(
        self,
        *,
        former: bool = False,
        acknowledged: tuple[str, ...] = (),
        own_key: CustomerKey = NoKey.NOT_ISSUED,
        max_bytes: int = 1_000_000,
        **contract: Any,  # noqa: ANN401 - what the contract says otherwise
    ) -> None:
        agreed = checked({**CONTRACT, **contract})
        self.texts = {
            PROFILE: catalogue.text("customer_profile"),
            CONSENT: catalogue.text("consent_event"),
            DISCLOSURE: catalogue.text("disclosure"),
            PARTNER: partner_schema(agreed),
            OTHER_PARTNER: partner_schema(agreed),
        }
        self.agreement = Agreement.of(agreed, MASTER, PARTNER, max_bytes)
        agreements = {HOSHI: None if former else self.agreement}
        self.book = Book(agreements, law(), frozenset(acknowledged), lambda _: own_key, Codec(self._text))
        self.records: list[Record] = []

    def _text(self, schema_id: int) -> str:
        try:
            return self.texts[schema_id]
        except KeyError:
            raise SchemaNotFound("There is no such schema.") from None

    def write(self, schema_id: int, record: Mapping[str, Any]) -> bytes:
        return Writer(self.texts[schema_id], schema_id).write(dict(record))

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, at: int | None = None, timestamp: int = NOW
    ) -> int:
        offset = self.end(topic) if at is None else at
        self.records.append(Record(topic, HERE, offset, key, value, timestamp))
        return offset

    def end(self, topic: str) -> int:
        return max((record.offset + 1 for record in self.records if record.topic == topic), default=0)

    # what CRMs write

    def update(self, customer: str = ONE, at: int | None = None, **fields: Any) -> int:  # noqa: ANN401 - a profile's
        profile = {
            "customer_id": customer,
            "given_name": "Hana",
            "family_name": "Mori",
            "birth_date": 4000,
            "email": "hana@example.com",
            "residence": "AU",
            "address": {"city": "Melbourne", "postal_code": "3055", "country": "AU"},
            "updated_at": NOW - 5 * DAY_MS,
            **fields,
        }
        profile["address"] = {"street": None, "street2": None, "state": None, **profile["address"]}
        return self.append(topics.CUSTOMER_UPDATES, customer.encode(), self.write(PROFILE, profile), at)

    def say(self, state: str = "GIVEN", customer: str = ONE, **fields: Any) -> int:  # noqa: ANN401 - an event's
        said = fields.pop("said", NOW - 3 * DAY_MS)
        event = {
            "record_id": f"{state}-{said}",
            "subject_id": customer,
            "purpose": CONTRACT["purpose"],
            "recipient_scope": {"category": "partner", "partner_ids": [HOSHI]},
            "data_scope": ["*"],
            "state": state,
            "expression": "explicit",
            "actor": "subject",
            "event_time": said,
            "recorded_at": said,
            **fields,
        }
        return self.append(topics.CONSENT_EVENTS, customer.encode(), self.write(CONSENT, event))

    # what the processor writes

    def answer(self, customer: CustomerId = ONE, now: Millis = NOW) -> Answer:
        """For a partner that holds nothing."""
        gathered = self.gathered(self.cut(now=now))
        one = recomputing.known(gathered.testimony(customer), self.book)
        return recomputing.answer(one, self.agreement, self.book, now, None)

    def share(self, customer: CustomerId = ONE, **entry: Any) -> Allowed:  # noqa: ANN401 - an entry's fields
        """Disclose and deliver what may be held; `entry`: what the disclosure says otherwise."""
        allowed = self.answer(customer)
        assert isinstance(allowed, Allowed), allowed
        self.disclose(allowed, customer, **entry)
        self.deliver(allowed.record, entry.get("pseudonym", allowed.pseudonym))
        return allowed

    def disclose(self, allowed: Allowed, customer: str = ONE, **entry: Any) -> int:  # noqa: ANN401
        told = {
            "partner": HOSHI,
            "action": "SHARED",
            "reason": None,
            "pseudonym": allowed.pseudonym,
            "key_epoch": self.agreement.keys.epoch,
            "contract": self.agreement.digest,
            "fields": list(allowed.fields),
            "digest": keys.keyed_digest(self.agreement.keys.digest, allowed.record),
            "consents": list(allowed.consents),
            "rules": list(allowed.rules),
            "expires_at": allowed.until,
            "rectified_at": allowed.rectified_at,
            "decision_id": "d",
            **entry,
        }
        disclosure = {"covers": [], "decided_at": NOW, "contract_set": "s", "entries": [told]}
        return self.append(topics.DISCLOSURES, customer.encode(), self.write(DISCLOSURE, disclosure))

    def deliver(self, value: bytes | None, pseudonym: str, at: int | None = None) -> int:
        return self.append(topics.customers(HOSHI), pseudonym.encode(), value, at)

    def partner_record(self, allowed: Allowed, schema_id: int = PARTNER, **fields: Any) -> bytes:  # noqa: ANN401
        return self.write(schema_id, {**self.book.codec.read(allowed.record), **fields})

    # what is found

    def cut(
        self,
        *,
        now: Millis = NOW,
        settled: bool = True,
        updates: int | None = None,
        consents: int | None = None,
        disclosures: int | None = None,
        evidence_from: int = 0,
    ) -> Cut:
        """Everything that there is, unless an offset is named."""
        positions = Positions(
            self.end(topics.CUSTOMER_UPDATES) if updates is None else updates,
            self.end(topics.CONSENT_EVENTS) if consents is None else consents,
        )
        disclosed = self.end(topics.DISCLOSURES) if disclosures is None else disclosures
        return Cut(HERE, positions, Checkpoint(Identity("c", "t"), "s", settled, disclosed, now, evidence_from))

    def gathered(self, cut: Cut) -> Gathered:
        gathered = Gathered(HERE, PARTITIONS)
        gathered.follow([HOSHI])
        gathered.add(sorted(self.records, key=lambda record: (record.topic, record.offset)))
        gathered.move(cut)
        return gathered

    def verify(self, **cut: Any) -> Figures:  # noqa: ANN401 - of `cut`
        return verification.verify(self.gathered(self.cut(**cut)), self.book)

    def state(self, **cut: Any) -> State:  # noqa: ANN401 - likewise
        """Of the only customer at the only partner."""
        states = self.verify(**cut).states[HOSHI]
        (state,) = states
        assert states == {state: 1}
        return state

    def difference(self, **cut: Any) -> Difference:  # noqa: ANN401 - likewise
        """The only one."""
        (difference,) = self.verify(**cut).differences
        return difference

    def pseudonym(self, customer: str = ONE) -> Pseudonym:
        return self.agreement.pseudonym(CustomerId(customer))

"""The simulated CRM: the same for a seed, true to the schemas, and with consents that count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice

from confluent_kafka import KafkaError, Message

from producers.crm_simulator import EVENTS_A_MILLISECOND, Answered, Deleted, Event, Recipient, Updated, events
from producers.encoding import CONSENTS, CUSTOMERS, Encoded, Encoder, nothing_filled
from producers.publication import Tally
from producers.simulation import Output, Run, paced, simulate
from schemas import catalogue
from sluice.avro import Reader, unframe
from sluice.consent import ConsentRecord, RecipientKind, State, parse_event
from sluice.decision import Customer, Permitted, decide
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.model import CustomerId, Millis, PartnerId, Reason
from sluice.terms import Terms

START = 1_780_000_000_000
HOSHI = Recipient("hoshi", RecipientKind.PARTNER, "marketing.communications.email", "star")
MAILER = Recipient("mailer", RecipientKind.PROCESSOR, "operations.address_hygiene", None)


def first(count: int, seed: int = 7, customers: int = 50) -> list[Event]:
    return list(islice(events(seed, customers, [HOSHI, MAILER], START), count))


def test_a_seed_gives_the_same_events_for_ever_and_another_seed_others() -> None:
    assert first(400) == first(400)
    assert first(400) != first(400, seed=8)


def test_every_event_fits_our_schemas() -> None:
    profile = Encoder(CUSTOMERS, 1, catalogue.text("customer_profile"), nothing_filled)
    consent = Encoder(CONSENTS, 1, catalogue.text("consent_event"), nothing_filled)
    for event in first(1_500):
        match event:
            case Updated(record=record):
                assert isinstance(profile.encode(1, record), Encoded)
            case Answered(record=record):
                assert isinstance(consent.encode(1, record), Encoded)
            case Deleted():
                pass


def test_first_everybody_arrives_then_life_goes_on() -> None:
    happened = first(5_000)
    kinds = Counter(type(event) for event in happened)
    assert kinds[Updated] > kinds[Answered] > kinds[Deleted] > 0
    states = Counter(event.record["state"] for event in happened if isinstance(event, Answered))
    assert set(states) == {"GIVEN", "REFUSED", "WITHDRAWN", "RENEWED"}
    alive: set[str] = set()
    for event in happened:
        match event:
            case Updated(customer=customer):
                alive.add(customer)
            case Deleted(customer=customer):
                alive.remove(customer)
            case Answered(customer=customer):
                assert customer in alive
    assert len(alive) == 50


def test_updates_change_a_part_and_japanese_names_have_their_reading() -> None:
    seen: dict[str, dict[str, object]] = {}
    changed: Counter[str] = Counter()
    for event in first(3_000):
        if isinstance(event, Updated):
            before = seen.get(event.customer, {})
            if before:
                changed.update(name for name in event.record if event.record[name] != before[name])
                assert sum(event.record[name] != before[name] for name in event.record) <= 3
            seen[event.customer] = event.record
    assert {"address", "email", "mobile", "loyalty", "segments", "updated_at"} <= set(changed)
    japanese = [record for record in seen.values() if record["collected_in"] == "JP"]
    assert japanese
    assert all(record["given_name_kana"] and record["family_name_kana"] for record in japanese)


def test_time_never_goes_back_nor_ahead_of_the_fastest_pace() -> None:
    happened = first(2_000)
    times = [
        event.record["updated_at"] if isinstance(event, Updated) else event.record["event_time"]
        for event in happened
        if not isinstance(event, Deleted)
    ]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] <= START + len(happened) // EVENTS_A_MILLISECOND


def test_the_last_answer_decides_what_the_partner_may_hold(law: Law) -> None:
    schema = catalogue.text("consent_event")
    encoder = Encoder(CONSENTS, 1, schema, nothing_filled)
    terms = Terms(
        PartnerId("hoshi"), HOSHI.kind, HOSHI.purpose, "star", Millis(0), None, {"email": "user.contact.email"}, "JP"
    )
    told: dict[str, ConsentRecord] = {}
    last: dict[str, State] = {}
    for event in first(4_000):
        if isinstance(event, Answered) and event.record["recipient_scope"]["partner_ids"] == ["hoshi"]:
            row = encoder.encode(1, event.record)
            assert isinstance(row, Encoded)
            parsed = parse_event(
                Reader(schema).read(unframe(row.value)[1]), CustomerId(event.customer), Millis(START + 10**9)
            )
            told[event.customer] = told.get(event.customer, ConsentRecord()).with_event(parsed)
            last[event.customer] = parsed.state
    japan, now = Facts(residence="JP"), Millis(START + 1_000)
    answers = {customer: decide(terms, law, Customer(japan, record), now) for customer, record in told.items()}
    assert {isinstance(answer, Permitted) for answer in answers.values()} == {True, False}
    for customer, answer in answers.items():
        assert isinstance(answer, Permitted) == (last[customer] in (State.GIVEN, State.RENEWED))
        if not isinstance(answer, Permitted):
            assert answer.reason in (Reason.REFUSED, Reason.WITHDRAWN)


class Acknowledging:
    """A producer that acknowledges at once."""

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes, bytes | None]] = []

    def produce(
        self, topic: str, value: bytes | None, key: bytes, *, on_delivery: Callable[[KafkaError | None, Message], None]
    ) -> None:
        self.written.append((topic, key, value))
        on_delivery(None, Message())

    def poll(self, timeout: float) -> int:
        assert timeout == 0
        return 0

    def flush(self, timeout: float) -> int:
        assert timeout > 0
        return 0

    def purge(self, in_queue: bool, in_flight: bool) -> None: ...  # noqa: FBT001 - the library's signature


def test_events_go_to_their_topics_and_are_counted() -> None:
    encoders = {
        CUSTOMERS: Encoder(CUSTOMERS, 1, catalogue.text("customer_profile"), nothing_filled),
        CONSENTS: Encoder(CONSENTS, 1, catalogue.text("consent_event"), nothing_filled),
    }
    producer = Acknowledging()
    tally = Tally(5, lambda _: None)
    run = Run(customers=20, rate=1e9, seed=3, duration=None, limit=600)
    totals = simulate(run, [HOSHI], encoders, Output(producer, tally, lambda _: None))
    assert totals.updates + totals.deletions + totals.consents == totals.published == 600
    assert (totals.failed, totals.unsent, totals.unconfirmed) == (0, 0, 0)
    topics = Counter((topic, value is None) for topic, _, value in producer.written)
    assert topics == {
        ("crm.customer-updates", False): totals.updates,
        ("crm.customer-updates", True): totals.deletions,
        ("crm.consent-events", False): totals.consents,
    }


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds


def test_the_pace_is_kept_and_a_delay_is_caught_up() -> None:
    clock = FakeClock()
    at = []
    for event in paced(first(100), rate=10.0, duration=1.0, clock=clock):
        assert event
        at.append(round(clock.now - 100, 3))
        if len(at) == 3:
            clock.now += 0.25
    assert at == [0.0, 0.1, 0.2, 0.45, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9]

"""A CRM's life, invented: people come, move, rise and fall in tier, leave; and say to whom their data may go.

Pure: a seed and a start give the same events for ever (with the same version of Faker), without clock or I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faker import Faker

from producers.encoding import uuid7

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sluice.consent import RecipientKind

SOURCE: Final = "sim-crm"

EVENTS_A_MILLISECOND: Final = 10
"""Event time passes this slowly, so that up to 10,000 events a second it never runs ahead of the clock."""

_DAY_MS = 86_400_000
_SHORT_GRANT_MS = 10 * 60 * 1000
_TIERS = ("NONE", "BRONZE", "SILVER", "GOLD", "PLATINUM")
_SEGMENTS = ("frequent", "seasonal", "gift_buyer", "outlet", "new", "dormant")

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A partner, as customers are asked about it."""

    partner: str
    kind: RecipientKind
    purpose: str
    brand: str | None


@dataclass(frozen=True, slots=True)
class Updated:
    """The customer's new snapshot."""

    customer: str
    record: Json


@dataclass(frozen=True, slots=True)
class Deleted:
    """The customer was deleted at the source."""

    customer: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The customer's answer about one recipient."""

    customer: str
    record: Json


Event: TypeAlias = Updated | Deleted | Answered


@dataclass(frozen=True, slots=True)
class Country:
    """Where customers live, and how their people are invented."""

    locale: str
    code: str
    language: str
    share: int
    """Of all customers, against the others' shares."""
    dialling: str


_COUNTRIES: Final = (
    Country("ja_JP", "JP", "ja", 45, "+81"),
    Country("en_US", "US", "en-US", 20, "+1"),
    Country("de_DE", "DE", "de", 15, "+49"),
    Country("fr_FR", "FR", "fr", 10, "+33"),
    Country("pt_BR", "BR", "pt-BR", 10, "+55"),
)
_STATES: Final = ("CA", "NY", "TX", "WA", "CO", "VA")
"""US states of residence: laws differ by them."""


@dataclass(slots=True)
class _World:
    """Everybody who is a customer now, and what they last said to whom."""

    random: Random
    recipients: Sequence[Recipient]
    start_ms: int
    people: dict[str, Faker]
    customers: list[Json] = field(default_factory=list)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    born: int = 0
    told: int = 0

    def tick(self) -> int:
        """The time of the next event."""
        self.told += 1
        return self.start_ms + self.told // EVENTS_A_MILLISECOND


def events(seed: int, customers: int, terms: Sequence[Recipient], start_ms: int) -> Iterator[Event]:
    """Everything that happens, without end: first each customer's snapshot and answers, then changes.

    `customers` are there at once: who is deleted is replaced by somebody new. `terms` are the recipients asked about.
    """
    world = _world(seed, terms, start_ms)
    for _ in range(customers):
        yield from _arrival(world)
    while True:
        yield from _change(world)


def _world(seed: int, recipients: Sequence[Recipient], start_ms: int) -> _World:
    people = {}
    for index, country in enumerate(_COUNTRIES):
        people[country.locale] = Faker(country.locale)
        people[country.locale].seed_instance(seed * len(_COUNTRIES) + index)
    return _World(Random(seed), recipients, start_ms, people)  # noqa: S311 - invented people are no secret


def _arrival(world: _World) -> Iterator[Event]:
    person = _person(world)
    world.customers.append(person)
    yield Updated(person["customer_id"], person)
    for recipient in world.recipients:
        first = world.random.choices(("GIVEN", "REFUSED", None), (60, 20, 20))[0]
        if first is not None:
            yield _answer(world, person, recipient, first)


def _change(world: _World) -> Iterator[Event]:
    """One thing that happens to one customer, as often as it happens in life, roughly."""
    index = world.random.randrange(len(world.customers))
    draw = world.random.random()
    if draw < 0.01:
        yield from _departure(world, index)
    elif draw < 0.35 and world.recipients:
        yield _next_answer(world, world.customers[index])
    else:
        change = world.random.choices(_CHANGES, _CHANGE_WEIGHTS)[0]
        record = {**world.customers[index], **change(world, world.customers[index]), "updated_at": world.tick()}
        world.customers[index] = record
        yield Updated(record["customer_id"], record)


def _departure(world: _World, index: int) -> Iterator[Event]:
    gone = world.customers.pop(index)["customer_id"]
    world.tick()
    yield Deleted(gone)
    for recipient in world.recipients:
        world.answers.pop((gone, recipient.partner), None)
    yield from _arrival(world)


def _next_answer(world: _World, person: Json) -> Answered:
    recipient = world.random.choice(world.recipients)
    last = world.answers.get((person["customer_id"], recipient.partner))
    if last in ("GIVEN", "RENEWED"):
        return _answer(world, person, recipient, world.random.choices(("WITHDRAWN", "RENEWED"), (70, 30))[0])
    return _answer(world, person, recipient, world.random.choices(("GIVEN", "REFUSED"), (80, 20))[0])


def _answer(world: _World, person: Json, recipient: Recipient, state: str) -> Answered:
    """A statement that names the partner. After a no, only an explicit yes counts, so that is what is said then."""
    random = world.random
    customer = person["customer_id"]
    said_before = (customer, recipient.partner) in world.answers
    world.answers[customer, recipient.partner] = state
    now = world.tick()
    record = {
        "record_id": uuid7(now, random.getrandbits(74)),
        "subject_id": customer,
        "brand_id": recipient.brand,
        "purpose": recipient.purpose,
        "recipient_scope": {"category": recipient.kind.value, "partner_ids": [recipient.partner]},
        "data_scope": ["*"],
        "state": state,
        "expression": "explicit" if said_before else random.choice(("opt_in", "explicit")),
        "actor": "subject",
        "jurisdiction": person["residence"],
        "valid_until": _end(random, now) if state in ("GIVEN", "RENEWED") else None,
        "event_time": now,
        "recorded_at": now,
        "source_system": SOURCE,
        "sequence": world.told,
        "notice": _notice(person, recipient),
        "collection_method": random.choice(("web_form", "call", "paper")),
    }
    return Answered(customer, record)


def _end(random: Random, now: int) -> int | None:
    """Most grants have no end, some run for a year, and a few end while one is looking on."""
    length = random.choices((None, 365 * _DAY_MS, _SHORT_GRANT_MS), (70, 28, 2))[0]
    return None if length is None else now + length


def _notice(person: Json, recipient: Recipient) -> Json:
    return {
        "id": f"{SOURCE}-{recipient.partner}",
        "version": "1",
        "language": person["preferred_language"],
        "names_recipients": [recipient.partner],
        "covers_purposes": [recipient.purpose],
        "covers_categories": ["*"],
    }


def _person(world: _World) -> Json:
    random = world.random
    country = random.choices(_COUNTRIES, [country.share for country in _COUNTRIES])[0]
    fake = world.people[country.locale]
    gender = random.choice(("FEMALE", "MALE"))
    world.born += 1
    now = world.tick()
    state = random.choice(_STATES) if country.code == "US" else None
    return {
        "customer_id": f"{SOURCE}:{world.born:07}",
        "source_system": SOURCE,
        **_name(fake, country, gender),
        "email": fake.safe_email(),
        "mobile": _mobile(random, country),
        "preferred_language": country.language,
        "birth_date": fake.date_of_birth(minimum_age=16, maximum_age=90).isoformat(),
        "gender": random.choices((gender, "UNDISCLOSED", None), (70, 10, 20))[0],
        "address": _address(fake, country, state),
        "residence": f"US-{state}" if state else country.code,
        "collected_in": country.code,
        "loyalty": _membership(random) if random.random() < 0.6 else None,
        "segments": random.sample(_SEGMENTS, random.randrange(3)),
        "lifetime_value": f"{random.randrange(2_000_000) / 100:.2f}",
        "created_at": now - random.randrange(3_000) * _DAY_MS,
        "updated_at": now,
    }


def _name(fake: Faker, country: Country, gender: str) -> Json:
    """A name; in Japan with its reading, which has to be drawn together with the characters."""
    if country.code == "JP":
        given = fake.first_name_female_pair() if gender == "FEMALE" else fake.first_name_male_pair()
        family = fake.last_name_pair()
        return {
            "given_name": given[0],
            "given_name_kana": given[1],
            "family_name": family[0],
            "family_name_kana": family[1],
        }
    given_name = fake.first_name_female() if gender == "FEMALE" else fake.first_name_male()
    return {"given_name": given_name, "family_name": fake.last_name()}


def _address(fake: Faker, country: Country, state: str | None) -> Json:
    match country.code:
        case "JP":
            return {
                "street": f"{fake.town()}{fake.chome()}{fake.ban()}{fake.gou()}",
                "city": fake.city(),
                "state": fake.prefecture(),
                "postal_code": fake.postcode(),
                "country": "JP",
            }
        case "US":
            place = {"state": state, "postal_code": fake.postcode_in_state(state)}
        case _:
            place = {"state": None, "postal_code": fake.postcode()}
    return {"street": fake.street_address(), "city": fake.city(), **place, "country": country.code}


def _mobile(random: Random, country: Country) -> str:
    """E.164 in shape; the digits after the country's code are invented."""
    return f"{country.dialling}555{random.randrange(10_000_000):07}"


def _membership(random: Random) -> Json:
    tier = random.choices(_TIERS, (20, 35, 25, 15, 5))[0]
    return {"program": "sim", "tier": tier, "points": random.randrange(50_000)}


def _moved(world: _World, person: Json) -> Json:
    """Within the country, so language and law stay; in the US to another state, perhaps."""
    country = next(country for country in _COUNTRIES if country.code == person["address"]["country"])
    state = world.random.choice(_STATES) if country.code == "US" else None
    return {
        "address": _address(world.people[country.locale], country, state),
        "residence": f"US-{state}" if state else person["residence"],
    }


def _other_email(world: _World, person: Json) -> Json:
    country = next(country for country in _COUNTRIES if country.code == person["address"]["country"])
    return {"email": world.people[country.locale].safe_email()}


def _other_mobile(world: _World, person: Json) -> Json:
    country = next(country for country in _COUNTRIES if country.code == person["address"]["country"])
    return {"mobile": _mobile(world.random, country)}


def _other_tier(world: _World, person: Json) -> Json:
    """One tier up or down; who is no member joins."""
    membership = person["loyalty"] or {"program": "sim", "tier": "NONE", "points": 0}
    step = world.random.choice((-1, 1))
    tier = _TIERS[max(0, min(len(_TIERS) - 1, _TIERS.index(membership["tier"]) + step))]
    return {"loyalty": {**membership, "tier": tier, "points": membership["points"] + world.random.randrange(500)}}


def _other_segments(world: _World, _: Json) -> Json:
    return {"segments": world.random.sample(_SEGMENTS, world.random.randrange(3))}


def _same(_: _World, __: Json) -> Json:
    """Sources often write again what has not changed."""
    return {}


_CHANGES: Final[tuple[Callable[[_World, Json], Json], ...]] = (
    _moved,
    _other_email,
    _other_mobile,
    _other_tier,
    _other_segments,
    _same,
)
_CHANGE_WEIGHTS: Final = (20, 15, 10, 30, 15, 10)

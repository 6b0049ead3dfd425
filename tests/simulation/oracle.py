"""What partners may hold, computed from the whole history by other means than the product's.

Whole records are decoded by fastavro, consents folded by hand, and what contracts make of a profile is written out
here. Consent and law are decided by `sluice.decision`: that is not what is tested here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import fastavro

from sluice import topics
from sluice.consent import ConsentEvent, ConsentRecord, Contradiction, parse_event
from sluice.decision import Customer, Permitted, decide
from sluice.facts import Facts
from sluice.model import CustomerId, Millis, PartnerId
from sluice.partitioning import partition_of
from tests.simulation.installation import (
    ADRESSO,
    HOSHI,
    LISTMART,
    MASTER,
    MAX_BYTES,
    PARTITIONS,
    SETS,
    installation,
)
from tests.simulation.memory_cluster import Cluster, Entry

Fields = Mapping[str, Any]
"""A partner's record, without what it does not hold."""

_DAY_MS = 24 * 60 * 60_000
_OVERHEAD = 200 + 22


@cache
def _schema(number: int) -> Any:  # noqa: ANN401 - the library's own
    schema = json.loads(installation().schemas.texts[number])
    return fastavro.parse_schema(_plain(schema))


def _plain(schema: Any) -> Any:  # noqa: ANN401
    """Without logical types: dates are numbers."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    return schema


@lru_cache(1 << 14)
def decoded(value: bytes | None) -> Any:  # noqa: ANN401
    """The record, or None for what is none."""
    if value is None or len(value) < 5 or value[0] != 0:
        return None
    number = int.from_bytes(value[1:5], "big")
    if number not in installation().schemas.texts:
        return None
    body = BytesIO(value[5:])
    try:
        record = fastavro.schemaless_reader(body, _schema(number), None)
    except Exception:  # noqa: BLE001 - whatever the library makes of bytes that are no record
        return None
    return record if body.tell() == len(value) - 5 else None


@dataclass(frozen=True, slots=True)
class Allowed:
    fields: tuple[str, ...]
    """Dotted paths that may be shared."""
    record: Fields


def is_placed(entry: Entry, number: int) -> bool:
    """Whether its key belongs here and names somebody."""
    return names_somebody(entry.key) and partition_of(entry.key or b"", PARTITIONS) == number


def profiles(cluster: Cluster, number: int, customer: CustomerId, updates: int) -> list[Entry | None]:
    """The newest update below an offset; and, where a newer one beyond it let compaction take it, what stood before.

    None: no update.
    """
    history = list(of(cluster, topics.CUSTOMER_UPDATES, number, customer, 1 << 62))
    found: list[Entry | None] = []
    compacted = cluster.logs[topics.CUSTOMER_UPDATES, number].compacted
    for entry in reversed([entry for entry in history if entry.offset < updates]):
        found.append(entry)
        if entry.offset not in compacted or history[-1].offset < updates:
            return found
    return [*found, None]


def said(cluster: Cluster, number: int, customer: CustomerId, consents: int, *, unread: bool = False) -> ConsentRecord:
    """Every answer below an offset. `unread`: without those that the registry may have been unable to tell of."""
    events: list[ConsentEvent] = []
    unreadable = []
    for entry in of(cluster, topics.CONSENT_EVENTS, number, customer, consents):
        if unread and _is_next(entry.value):
            continue
        event = _event(entry.value, customer, entry.timestamp)
        if event is None:
            unreadable.append(f"{topics.CONSENT_EVENTS}/{number}@{entry.offset}")
        elif event not in events:
            events.append(event)
    events.sort(key=lambda event: (event.effective_time, event.record_id))
    return ConsentRecord(unreadable=tuple(sorted(unreadable))).with_events(*events)


@lru_cache(1 << 14)
def _event(value: bytes | None, customer: CustomerId, timestamp: int) -> ConsentEvent | None:
    record = decoded(value)
    try:
        return None if record is None else parse_event(record, customer, Millis(timestamp))
    except Contradiction:
        return None


def _is_next(value: bytes | None) -> bool:
    return value is not None and value[:5] == installation().consent_next.write(_ANY_CONSENT)[:5]


_ANY_CONSENT = {
    "record_id": "", "subject_id": "", "purpose": "", "state": "GIVEN", "expression": "explicit",
    "actor": "subject", "event_time": 0, "recorded_at": 0,
}  # fmt: skip


def of(cluster: Cluster, topic: str, number: int, customer: str, stop: int) -> Iterator[Entry]:
    """The customer's committed records, those compacted away included."""
    key = customer.encode()
    for entry in cluster.logs[topic, number].history[:stop]:
        if entry.key == key and entry.is_committed:
            yield entry


@dataclass(frozen=True, slots=True)
class Rules:
    """Under what is decided, and when."""

    contract_set: str
    acknowledged: frozenset[str]
    now: Millis

    def contract(self, partner: PartnerId) -> Mapping[str, Any] | None:
        return next((one for one in SETS[self.contract_set] if one["partner"] == partner), None)


def may_keep(rules: Rules, partner: PartnerId, update: Entry | None, consents: ConsentRecord, kept: Fields) -> bool:
    """Whether processing is restricted, and what was disclosed might be held under this contract if it were not."""
    contract = rules.contract(partner)
    profile = None if update is None else decoded(update.value)
    if contract is None or profile is None or not profile["restricted"]:
        return False
    one, now, fields = installation(), rules.now, set(kept["fields"])
    checked = one.contracts[rules.contract_set][partner]
    if kept["contract"] != checked.digest(MASTER):
        return False
    terms = checked.terms().only(tuple(fields))
    free = _facts(profile | {"restricted": False})
    answer = decide(terms, one.law, Customer(free, consents, rules.acknowledged), now)
    return isinstance(answer, Permitted) and fields <= set(answer.fields) and _is_in_scope(contract, profile, now)


def allowed(rules: Rules, partner: PartnerId, update: Entry | None, consents: ConsentRecord) -> Allowed | None:
    """What the partner may hold of the customer; None: nothing."""
    contract = rules.contract(partner)
    profile = None if update is None else decoded(update.value)
    if contract is None or profile is None:
        return None
    one, now = installation(), rules.now
    terms = one.contracts[rules.contract_set][partner].terms()
    answer = decide(terms, one.law, Customer(_facts(profile), consents, rules.acknowledged), now)
    if not isinstance(answer, Permitted) or not _is_in_scope(contract, profile, now):
        return None
    record = record_of(partner, contract, profile, answer.fields)
    return None if record is None else Allowed(answer.fields, record)


def _facts(profile: Mapping[str, Any]) -> Facts:
    names = ("residence", "collected_in", "birth_date", "restricted", "deceased")
    return Facts(*(profile[name] for name in names))


def _is_in_scope(contract: Mapping[str, Any], profile: Mapping[str, Any], now: Millis) -> bool:
    """Row filter and retention."""
    countries = contract.get("where", {}).get("address.country")
    if countries is not None and (profile["address"] or {}).get("country") not in countries:
        return False
    return "limits" not in contract or profile["updated_at"] + _DAY_MS > now


def record_of(
    partner: PartnerId, contract: Mapping[str, Any], profile: Mapping[str, Any], fields: tuple[str, ...]
) -> Fields | None:
    """The record that the contract makes of the profile; None where a required field is missing or it is too large."""
    made = {path: _MADE[partner].get(path, _kept)(path, profile) for path in contract["fields"] if path in fields}
    for path, rule in contract["fields"].items():
        if isinstance(rule, dict) and rule.get("keep", {}).get("required") and made.get(path) is None:
            return None
    record = {path.replace(".", "_"): value for path, value in made.items() if value is not None}
    size = sum(len(str(value).encode()) for value in record.values())
    return None if size + _OVERHEAD > MAX_BYTES else record


def _kept(path: str, profile: Mapping[str, Any]) -> Any:  # noqa: ANN401
    value: Any = profile
    for name in path.split("."):
        value = None if value is None else value[name]
    return value


def _year(_path: str, profile: Mapping[str, Any]) -> int | None:
    days = profile["birth_date"]
    return None if days is None else (date(1970, 1, 1) + timedelta(days=days)).year


def _initial(_path: str, profile: Mapping[str, Any]) -> str | None:
    name = profile["given_name"]
    return None if name is None else name[:1]


_MADE: Mapping[PartnerId, Mapping[str, Any]] = {
    HOSHI: {"birth_date": _year},
    ADRESSO: {},
    LISTMART: {"given_name": _initial, "birth_date": _year},
}


def of_nobody(cluster: Cluster, number: int, stop: int) -> list[str]:
    """Where consent events stand whose key names nobody."""
    history = cluster.logs[topics.CONSENT_EVENTS, number].history[:stop]
    return [
        f"{topics.CONSENT_EVENTS}/{number}@{entry.offset}"
        for entry in history
        if entry.is_committed and not names_somebody(entry.key)
    ]


def names_somebody(key: bytes | None) -> bool:
    try:
        return bool((key or b"").decode())
    except UnicodeDecodeError:
        return False


def customers_of(cluster: Cluster, number: int) -> list[CustomerId]:
    """Everybody whom an update or a consent event of the partition names."""
    found: dict[CustomerId, None] = {}
    for topic in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS):
        for entry in cluster.logs[topic, number].history:
            if entry.is_committed and is_placed(entry, number):
                found[CustomerId((entry.key or b"").decode())] = None
    return list(found)


def read_record(value: bytes) -> Fields:
    """A partner's record as the partner reads it, without what is null."""
    record = decoded(value)
    assert record is not None, "a partner cannot read its record"
    return {name: held for name, held in record.items() if held is not None}

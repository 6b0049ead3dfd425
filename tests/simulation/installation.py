"""What the simulated processors carry out: contract sets in memory, schemas, keys; and how producers encode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from schemas import catalogue
from sluice import topics
from sluice.avro import Reader, Record, Undecodable, Writer, unframe
from sluice.contract import CheckedContract, Contract, partner_schema
from sluice.keys import MasterKey, PartnerKeys, pseudonym
from sluice.law.loading import shipped_law
from sluice.law.pack import Law
from sluice.model import Cause, CustomerId, Millis, PartnerId, Pseudonym
from sluice.projection import Projector, SourceReader
from sluice.registry import RegistryUnavailable
from sluice.ruling import Policy
from sluice.source_schema import leaves
from stream_processors.sharing.brake import BrakePolicy
from stream_processors.sharing.disclosing import DisclosureWriter
from stream_processors.sharing.parties import FormerPartnership, Partnership, Party, asked_paths
from stream_processors.sharing.view import View, Writers

START = Millis(1_780_000_020_000)
"""When every simulation begins. Instants that change answers lie on whole minutes after it."""
MINUTE = 60_000
PARTITIONS = 2
MASTER = MasterKey(bytes(range(32)))
HOSHI, ADRESSO, LISTMART = PartnerId("hoshi-card"), PartnerId("adresso"), PartnerId("listmart")
PARTNERS = (ADRESSO, HOSHI, LISTMART)
EPOCHS = (1, 2)
MAX_BYTES = 600
"""Of a partner's record: one very long name does not fit."""
WITHIN_MS = 3 * 24 * 60 * MINUTE


def minute(number: int) -> datetime:
    """An instant as contracts write it."""
    return datetime.fromtimestamp((START + number * MINUTE) // 1000, UTC)


_HOSHI: dict[str, Any] = {
    "partner": "hoshi-card",
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "JP",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"given_name": "keep", "family_name": {"keep": {"required": True}}, "email": "keep"},
    "where": {"address.country": ["JP", "AU"]},
}
_ADRESSO: dict[str, Any] = {
    "partner": "adresso",
    "name": "Adresso",
    "recipient": "service_provider",
    "purpose": "operations.address_hygiene",
    "country": "AU",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"address.street": "keep", "address.postal_code": {"keep": {"required": True}}},
    "evidence": ["processor_contract"],
}
_LISTMART: dict[str, Any] = {
    "partner": "listmart",
    "name": "ListMart",
    "recipient": "third_party_sale",
    "purpose": "marketing.advertising.third_party.targeted",
    "country": "AU",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"given_name": {"truncate": 1}, "birth_date": "birth_year"},
    "limits": {"retain": "P1D"},
}
_NARROW_FIELDS = {"given_name": "keep", "family_name": {"keep": {"required": True}}}
SETS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "usual": (_HOSHI, _ADRESSO),
    "wider": (_HOSHI | {"fields": _HOSHI["fields"] | {"birth_date": "birth_year"}, "where": {}}, _ADRESSO),
    "narrower": (_HOSHI | {"fields": _NARROW_FIELDS, "where": {"address.country": ["JP"]}}, _ADRESSO),
    "without hoshi": (_ADRESSO,),
    "with listmart": (_HOSHI, _ADRESSO, _LISTMART),
    "paused": (_HOSHI | {"paused": True}, _ADRESSO, _LISTMART),
    "ends in minute 9": (_HOSHI | {"valid": {"from": date(2026, 1, 1), "until": minute(9)}}, _ADRESSO),
    "from minute 7": (_HOSHI | {"valid": {"from": minute(7)}}, _ADRESSO, _LISTMART),
    "other epoch": (_HOSHI | {"pseudonym_epoch": 2}, _ADRESSO),
}
"""What may be in force, by name."""


@dataclass
class Schemas:
    """The registry: every schema by its id. Two versions may be out of reach."""

    texts: dict[int, str] = field(default_factory=dict)
    unreachable: set[int] = field(default_factory=set)
    _readers: dict[int, Reader] = field(default_factory=dict)

    def register(self, text: str) -> int:
        number = next((number for number, known in self.texts.items() if known == text), len(self.texts) + 1)
        self.texts[number] = text
        return number

    def decode(self, value: bytes | None) -> Record:
        number, payload = unframe(value)
        return self.reader(number).read(payload)

    def reader(self, number: int) -> Reader:
        if number in self.unreachable:
            raise RegistryUnavailable("The registry does not answer.")
        if number not in self.texts:
            raise Undecodable(Cause.SCHEMA_UNKNOWN)
        if number not in self._readers:
            self._readers[number] = Reader(self.texts[number])
        return self._readers[number]


@dataclass(frozen=True)
class Installation:
    """Everything that does not change from one simulation to the next; made once."""

    schemas: Schemas
    views: Mapping[str, View]
    law: Law
    contracts: Mapping[str, Mapping[PartnerId, CheckedContract]]
    keys: Mapping[tuple[PartnerId, int], PartnerKeys]
    profile: Writer
    profile_next: Writer
    consent: Writer
    consent_next: Writer

    def view(self, name: str, acknowledged: frozenset[str], brake: BrakePolicy) -> View:
        """The set, under what operators have acknowledged."""
        view = self.views[name]
        policy = replace(view.policy, acknowledged=acknowledged)
        return replace(view, policy=policy, acknowledged=acknowledged, brake=brake)

    def pseudonym(self, partner: PartnerId, epoch: int, customer: str) -> Pseudonym:
        return pseudonym(self.keys[partner, epoch].record, customer)

    def named(self, partner: PartnerId, name: str, customers: tuple[str, ...]) -> tuple[CustomerId, int]:
        """Customer and epoch behind a pseudonym."""
        return _names(partner, customers)[name]


@cache
def _names(partner: PartnerId, customers: tuple[str, ...]) -> Mapping[str, tuple[CustomerId, int]]:
    one = installation()
    return {one.pseudonym(partner, epoch, c): (CustomerId(c), epoch) for c in customers for epoch in EPOCHS}


@cache
def installation() -> Installation:
    schemas = Schemas()
    profile, consent = catalogue.text("customer_profile"), catalogue.text("consent_event")
    writers = [Writer(text, schemas.register(text)) for text in (profile, _next(profile), consent, _next(consent))]
    law = shipped_law()
    contracts = {name: {c.partner: c for c in map(_checked, written)} for name, written in SETS.items()}
    keys = {(partner, epoch): PartnerKeys.of(MASTER, partner, epoch) for partner in PARTNERS for epoch in EPOCHS}
    views = {name: _view(name, checked, schemas, law, keys) for name, checked in contracts.items()}
    return Installation(schemas, views, law, contracts, keys, *writers)


def _next(text: str) -> str:
    """A version with a field more, which the registry may not be able to tell of."""
    schema = json.loads(text)
    schema["fields"].append({"name": "next", "type": ["null", "string"], "default": None})
    return json.dumps(schema)


def _checked(written: Mapping[str, Any]) -> CheckedContract:
    contract = Contract.model_validate(written)
    known = leaves(catalogue.text("customer_profile"))
    return CheckedContract(
        contract,
        {path: known[path] for path in contract.shared_fields},
        evidence=frozenset(contract.evidence),
        filtered={path: known[path] for path in contract.where},
    )


def _view(
    name: str,
    contracts: Mapping[PartnerId, CheckedContract],
    schemas: Schemas,
    law: Law,
    keys: Mapping[tuple[PartnerId, int], PartnerKeys],
) -> View:
    parties: list[Party] = []
    for partner in PARTNERS:
        checked = contracts.get(partner)
        if checked is None:
            parties.append(FormerPartnership(partner, WITHIN_MS))
            continue
        own = keys[partner, checked.contract.pseudonym_epoch]
        schema_id = schemas.register(partner_schema(checked))
        parties.append(
            Partnership(
                partner=partner,
                terms=checked.terms(),
                contract=checked.digest(MASTER),
                keys=own,
                projector=Projector(checked, own, schema_id, MAX_BYTES),
                acknowledge_within_ms=WITHIN_MS,
                paused=checked.contract.paused,
            )
        )
    terms = {partner: checked.terms() for partner, checked in contracts.items()}
    return View(
        parties=tuple(parties),
        writers=_writers(name, schemas),
        decode=schemas.decode,
        source=SourceReader(schemas.reader, asked_paths(law, parties)),
        policy=Policy(terms, law, rules=f"rules of {name}"),
        acknowledged=frozenset(),
        partitions=PARTITIONS,
        customer_keys=None,
        contract_set=name,
    )


def _writers(name: str, schemas: Schemas) -> Writers:
    control = catalogue.text("control")
    texts = {one: catalogue.text(one) for one in ("disclosure", "rejected")}
    return Writers(
        disclosure=DisclosureWriter(texts["disclosure"], schemas.register(texts["disclosure"])),
        rejected=Writer(texts["rejected"], schemas.register(texts["rejected"])),
        control={partner: Writer(control, schemas.register(control)) for partner in PARTNERS},
        source_key=MASTER.derive("rejected"),
        decision_key=MASTER.derive("decision"),
        contract_set=name,
    )


TOPICS = (
    topics.CUSTOMER_UPDATES,
    topics.CONSENT_EVENTS,
    topics.DISCLOSURES,
    topics.REJECTED,
    *(topics.customers(partner) for partner in PARTNERS),
    *(topics.control(partner) for partner in PARTNERS),
)

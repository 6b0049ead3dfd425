"""A small installation for the tests of the sharing path: contracts, keys, schemas, and what producers write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from schemas import catalogue
from sluice.avro import Reader, Record, Undecodable, Writer, unframe
from sluice.contract import CheckedContract, Contract, ContractSet, partner_schema
from sluice.keys import CustomerKeys, MasterKey, PartnerKeys
from sluice.law.loading import shipped_law
from sluice.law.pack import Law
from sluice.model import Cause, Millis, PartnerId
from sluice.projection import Projector, SourceReader
from sluice.registry import RegistryUnavailable
from sluice.ruling import Policy
from sluice.source_schema import Leaf, leaves
from stream_processors.sharing.brake import BrakePolicy
from stream_processors.sharing.checkpoint import Identity
from stream_processors.sharing.disclosing import DisclosureWriter
from stream_processors.sharing.parties import FormerPartnership, Partnership, Party, asked_paths
from stream_processors.sharing.view import View, Writers

NOW = Millis(1_780_000_000_000)
DAY_MS = 86_400_000
HOSHI: Mapping[str, Any] = {
    "partner": "hoshi-card",
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "JP",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"given_name": "keep", "family_name": "keep", "email": "keep"},
    "where": {"address.country": ["JP", "AU"]},
}
ADRESSO: Mapping[str, Any] = {
    "partner": "adresso",
    "name": "Adresso",
    "recipient": "corporate_partner",
    "purpose": "operations.address_hygiene",
    "country": "AU",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"address.street": "keep", "address.postal_code": {"keep": {"required": True}}},
}
SERVICE_PROVIDER: Mapping[str, Any] = {
    "name": "x",
    "recipient": "service_provider",
    "purpose": "operations.address_hygiene",
    "country": "AU",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"email": "keep"},
}
"""Of nobody yet: `partner` is missing."""
TASK: Mapping[str, Any] = {
    "reply": {"moved": {"type": "boolean", "category": "user.contact"}},
    "licence": {"source": "x"},
}
PURPOSES = {"hoshi-card": HOSHI["purpose"], "adresso": ADRESSO["purpose"]}
IDENTITY = Identity("cluster", "topics")
PROFILE, CONSENT, DISCLOSURE, REJECTED, CONTROL, FIRST_PARTNER = range(1, 7)
OWN = {
    PROFILE: "customer_profile",
    CONSENT: "consent_event",
    DISCLOSURE: "disclosure",
    REJECTED: "rejected",
    CONTROL: "control",
}


@cache
def source_leaves() -> Mapping[str, Leaf]:
    return leaves(catalogue.text("customer_profile"))


@cache
def law() -> Law:
    return shipped_law()


def checked(written: Mapping[str, Any]) -> CheckedContract:
    contract = Contract.model_validate(written)
    return CheckedContract(
        contract,
        {path: source_leaves()[path] for path in contract.shared_fields},
        evidence=frozenset(contract.evidence),
    )


@dataclass
class Shelf:
    """A registry that can be switched off, schema by schema."""

    texts: dict[int, str] = field(default_factory=lambda: {n: catalogue.text(name) for n, name in OWN.items()})
    readers: dict[int, Reader] = field(default_factory=dict)
    unreachable: set[int] = field(default_factory=set)

    def id_of(self, text: str) -> int:
        for number, known in self.texts.items():
            if known == text and number >= FIRST_PARTNER:
                return number
        number = max(self.texts) + 1
        self.texts[number] = text
        return number

    def writer(self, number: int) -> Writer:
        return Writer(self.texts[number], number)

    def decode(self, value: bytes | None) -> Record:
        """As the registry does, for the schemas that are here."""
        number, payload = unframe(value)
        return self.reader(number).read(payload)

    def reader(self, number: int) -> Reader:
        if number in self.unreachable:
            raise RegistryUnavailable("The registry does not answer.")
        if number not in self.texts:
            raise Undecodable(Cause.SCHEMA_UNKNOWN)
        if number not in self.readers:
            self.readers[number] = Reader(self.texts[number])
        return self.readers[number]


class Installation:
    """Contracts, keys and schemas, the bytes that producers write, and a registry that can be switched off."""

    def __init__(
        self,
        *contracts: Mapping[str, Any],
        former: Collection[str] = (),
        max_bytes: int = 1_000_000,
        shelf: Shelf | None = None,
    ) -> None:
        """`former`: partners whose contract has gone."""
        self.master = MasterKey(bytes(range(32)))
        self.contracts = ContractSet(tuple(checked(written) for written in contracts or (HOSHI, ADRESSO)))
        self.shelf = shelf or Shelf()
        self.partnerships = tuple(self._partnership(contract, max_bytes) for contract in self.contracts.contracts)
        self.former = tuple(FormerPartnership(PartnerId(name), 3 * DAY_MS) for name in former)
        self.parties: tuple[Party, ...] = (*self.partnerships, *self.former)
        self.contract_set = self.contracts.digest(self.master)
        self.writers = Writers(
            disclosure=DisclosureWriter(self.shelf.texts[DISCLOSURE], DISCLOSURE),
            rejected=self.shelf.writer(REJECTED),
            control={party.partner: self.shelf.writer(CONTROL) for party in self.parties},
            source_key=self.master.derive("rejected"),
            decision_key=self.master.derive("decision"),
            contract_set=self.contract_set,
        )
        self.identity = IDENTITY
        self._profiles, self._consents = self.shelf.writer(PROFILE), self.shelf.writer(CONSENT)

    def renewed(self, *contracts: Mapping[str, Any], former: Collection[str] = ()) -> Installation:
        """The same installation with other contracts."""
        return Installation(*contracts, former=former, shelf=self.shelf)

    def _partnership(self, contract: CheckedContract, max_bytes: int) -> Partnership:
        keys = PartnerKeys.of(self.master, contract.partner, contract.contract.pseudonym_epoch)
        return Partnership(
            partner=contract.partner,
            terms=contract.terms(),
            contract=contract.digest(self.master),
            keys=keys,
            projector=Projector(contract, keys, self.shelf.id_of(partner_schema(contract)), max_bytes),
            acknowledge_within_ms=int(contract.contract.limits.acknowledge_within.total_seconds() * 1000),
            paused=contract.contract.paused,
        )

    @property
    def unreachable(self) -> set[int]:
        return self.shelf.unreachable

    def decode(self, value: bytes | None) -> Record:
        return self.shelf.decode(value)

    def view(
        self,
        *,
        acknowledged: Collection[str] = (),
        partitions: int = 1,
        customer_keys: CustomerKeys | None = None,
        brake: BrakePolicy | None = None,
    ) -> View:
        return View(
            parties=self.parties,
            writers=self.writers,
            decode=self.decode,
            source=SourceReader(self.shelf.reader, asked_paths(law(), self.parties)),
            policy=self.policy(acknowledged),
            acknowledged=frozenset(acknowledged),
            partitions=partitions,
            customer_keys=customer_keys,
            contract_set=self.contract_set,
            brake=brake or BrakePolicy(),
        )

    def policy(self, acknowledged: Collection[str] = ()) -> Policy:
        terms = {one.partner: one.terms for one in self.partnerships}
        rules = " ".join((self.contract_set, *(one.partner for one in self.former)))
        return Policy(terms, law(), frozenset(acknowledged), rules)

    def profile(self, **changes: Any) -> bytes:  # noqa: ANN401 - any field of the profile
        """A customer's update: with name, e-mail address and street, living where no law of its own is loaded."""
        address = {"street": "Chiyoda 1-1", "postal_code": "100-0001", "country": "JP"}
        base = {"customer_id": "c", "given_name": "Hanako", "family_name": "Sato", "email": "hanako@example.com"}
        where = {"residence": "AU", "address": address, "updated_at": 0}
        return self._profiles.write(base | where | changes)

    def answer(self, customer: str, partner: str, at: int, state: str = "GIVEN", **changes: Any) -> bytes:  # noqa: ANN401
        """A consent event: explicitly, by the customer, to this partner, for everything."""
        base = {
            "record_id": f"{customer} {partner} {state} {at}",
            "subject_id": customer,
            "purpose": PURPOSES[partner],
            "recipient_scope": {"category": "partner", "partner_ids": [partner]},
            "data_scope": ["*"],
            "state": state,
            "expression": "explicit",
            "actor": "subject",
            "event_time": NOW - 1_000_000 + at,
            "recorded_at": NOW - 1_000_000 + at,
        }
        return self._consents.write(base | changes)

    def partner(self, name: str) -> Partnership:
        return next(partnership for partnership in self.partnerships if partnership.partner == name)

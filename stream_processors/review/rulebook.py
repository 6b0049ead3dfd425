"""What customers are judged under, and the one place where a simulation touches the processor's own functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sluice.contract import CheckedContract, check, load_contracts
from sluice.decision import Customer, Denied, judge
from sluice.facts import read_facts
from sluice.keys import MasterKey, PartnerKeys
from sluice.law.pack import Law
from sluice.model import Held, Millis, Outcome, PartnerId, Reason, Shared, label
from sluice.projection import Projector, Snapshot
from sluice.ruling import Policy, Ruling
from sluice.source_schema import leaves
from stream_processors.review.subject import Subject, as_of
from stream_processors.sharing.parties import Partnership
from stream_processors.sharing.pipeline import Case, reconcile, ruling_on

_MAX_BYTES = 1_048_588
"""Kafka's default for `max.message.bytes`."""
_SCHEMA_ID = 1
"""Made up: there is no registry, and nobody reads these records."""
MADE_UP_KEY: Final = bytes(32)
"""Stands for every customer's own: asking what would be issues none, and nobody sees what this one seals."""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What to judge by. Travels to the processes that judge."""

    contracts: Path
    law: Law
    schema: str
    """Of the source, JSON text."""
    master: MasterKey = field(repr=False)
    at: Millis
    acknowledged: frozenset[str] = frozenset()
    """Unreadable consent events that an operator has looked into."""
    then: bool = False
    """Judge by what was known at that time: consent events that were recorded later are left out."""

    def with_contracts(self, folder: Path) -> Rulebook:
        return replace(self, contracts=folder)

    def loaded(self) -> Bench:
        """Raises DocumentError with every problem of the contracts."""
        contracts = check(load_contracts(self.contracts), leaves(self.schema), self.law).contracts
        partnerships = {contract.partner: self._partnership(contract) for contract in contracts}
        terms = {partner: partnership.terms for partner, partnership in partnerships.items()}
        checked = {contract.partner: contract for contract in contracts}
        return Bench(checked, partnerships, Policy(terms, self.law, self.acknowledged), self.at, self.then)

    def _partnership(self, contract: CheckedContract) -> Partnership:
        keys = PartnerKeys.of(self.master, contract.partner, contract.contract.pseudonym_epoch)
        return Partnership(
            partner=contract.partner,
            terms=contract.terms(),
            contract=contract.digest(self.master),
            keys=keys,
            projector=Projector(contract, keys, _SCHEMA_ID, _MAX_BYTES),
            acknowledge_within_ms=int(contract.contract.limits.acknowledge_within.total_seconds() * 1000),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner that holds nothing would be given of one customer."""

    outcome: str
    reason: str | None
    rules: tuple[str, ...]
    """Ids of the law's rules that were passed, or that refuse; empty when it was not for the law to say."""
    fields: tuple[str, ...]
    held: Held | None = None

    @property
    def is_shared(self) -> bool:
        return self.held is not None


NOT_IN_FORCE = Answer("withheld", Reason.CONTRACT_NOT_IN_FORCE.value, (), ())
"""Of a partner that has no contract."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Contracts and law as they decide."""

    contracts: Mapping[PartnerId, CheckedContract]
    partnerships: Mapping[PartnerId, Partnership]
    policy: Policy
    at: Millis
    then: bool = False
    """See Rulebook."""

    def known(self, subject: Subject) -> Subject:
        return as_of(subject, self.at) if self.then else subject

    def answers(self, subject: Subject) -> dict[PartnerId, Answer]:
        """Every partner's."""
        ruling = ruling_on(subject.row.consents, subject.profile, self.policy, self.at)
        case = Case(subject.customer, subject.row, subject.profile, ruling, True, self.at, self.policy, MADE_UP_KEY)
        return {
            name: _answer(reconcile(case, partnership), ruling, name) for name, partnership in self.partnerships.items()
        }

    def listed(self, partner: PartnerId) -> int:
        """How many fields the contract shares."""
        return len(self.partnerships[partner].terms.categories)

    def kept_back(self, subject: Subject, partner: PartnerId) -> Iterator[tuple[str, str]]:
        """The contract's fields that the law keeps back from this customer, and why."""
        if not isinstance(subject.profile, Snapshot):
            return
        facts = read_facts(subject.profile.value, self.policy.law.paths)
        customer = Customer(facts, subject.row.consents, self.policy.acknowledged)
        judgement = judge(self.policy.terms[partner], self.policy.law, customer, self.at)
        for category in judgement.categories:
            if category.denied is not None:
                yield from ((path, category.denied.value) for path in category.fields)


def _answer(outcome: Outcome, ruling: Ruling | None, partner: PartnerId) -> Answer:
    name, reason = label(outcome)
    if isinstance(outcome, Shared):
        return Answer(name, None, outcome.held.rules, outcome.held.fields, outcome.held)
    verdict = ruling.answer(partner) if ruling is not None else None
    refusing = verdict.rules if isinstance(verdict, Denied) else ()
    return Answer(name, reason or None, refusing, ())

"""What a decision costs on the running path: made anew, and given before to somebody alike (`make bench-decision`).

Prints microseconds, the median of several rounds, for one customer and the demo's three contracts. Compare the ratios:
the machine is shared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from schemas import catalogue
from sluice.consent import Actor, ConsentEvent, ConsentRecord, Expression, Notice, RecipientScope, State
from sluice.contract import check, load_contracts
from sluice.facts import read_facts
from sluice.law.loading import shipped_law
from sluice.model import CustomerId, Millis, PartnerId
from sluice.projection import Snapshot
from sluice.ruling import Policy
from sluice.source_schema import leaves

_ROUNDS = 15
_REPEATS = 2_000
_NOW = Millis(1_790_000_000_000)
_PLACES = {"one law, Japan": "JP", "one law, the Union": "DE", "all laws, residence unknown": None}


def main() -> None:
    law = shipped_law()
    contracts = check(load_contracts(Path("deploy/demo/contracts")), leaves(catalogue.text("customer_profile")), law)
    policy = Policy({contract.partner: contract.terms() for contract in contracts.contracts}, law)
    print(f"{'for three partners, µs':<44}{'anew':>10}{'alike':>10}{'facts read':>12}")  # noqa: T201
    for name, residence in _PLACES.items():
        profile = Snapshot(_profile(residence))
        facts = read_facts(profile.value, law.paths)
        consents = _said(policy)
        anew = _micros(lambda: replace(policy).rule(facts, consents, _NOW), _REPEATS // 20)  # noqa: B023 - called at once
        alike = _micros(partial(policy.rule, facts, consents, _NOW), _REPEATS)
        read = _micros(partial(read_facts, profile.value, law.paths), _REPEATS)
        print(f"{name:<44}{anew:>10.1f}{alike:>10.2f}{read:>12.2f}")  # noqa: T201


def _micros(work: Callable[[], object], repeats: int) -> float:
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        rounds.append((time.perf_counter() - started) / repeats * 1e6)
    return statistics.median(rounds)


def _profile(residence: str | None) -> dict[str, object]:
    return {"residence": residence, "collected_in": None, "birth_date": 4_000, "restricted": False, "deceased": False}


def _said(policy: Policy) -> ConsentRecord:
    record = ConsentRecord()
    for partner, terms in policy.terms.items():
        for at, state in enumerate((State.GIVEN, State.WITHDRAWN, State.GIVEN)):
            record = record.with_event(_event(partner, terms.purpose, at, state))
    return record


def _event(partner: PartnerId, purpose: str, at: int, state: State) -> ConsentEvent:
    said_at = Millis(_NOW - 1_000_000_000 + at)
    return ConsentEvent(
        record_id=f"{partner}-{at}",
        subject_id=CustomerId("dell-crm:1"),
        purpose=purpose,
        state=state,
        expression=Expression.EXPLICIT,
        actor=Actor.SUBJECT,
        event_time=said_at,
        recorded_at=said_at,
        recipient_scope=RecipientScope(partner_ids=(partner,)),
        data_scope=("*",),
        notice=Notice(names_recipients=(partner,)),
    )


if __name__ == "__main__":
    main()

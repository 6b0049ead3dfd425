"""Files of invented customers and consent events, as large as a measurement needs.

    python tests/bench/recorded_inputs.py FOLDER --customers 1000000 [--contracts deploy/demo/contracts] [--seed 1]

The people are those of `sluice simulate-crm`: a few thousand, repeated under other ids with the answers of others.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from producers.crm_simulator import Answered, Recipient, Updated, events
from producers.encoding import uuid7
from producers.simulation import recipients
from sluice.contract import load_contracts

START_MS = 1_767_225_600_000
"""2026-01-01."""
PEOPLE = 2_000

Json = dict[str, Any]
Person = tuple[Json, list[Json]]


def people(seed: int, asked: list[Recipient], count: int = PEOPLE) -> list[Person]:
    """Snapshots with the answers that each gave."""
    found: dict[str, Person] = {}
    for event in islice(events(seed, count, asked, START_MS), count * (1 + len(asked))):
        if isinstance(event, Updated):
            found.setdefault(event.customer, (event.record, []))
        elif isinstance(event, Answered) and event.customer in found:
            found[event.customer][1].append(event.record)
    return list(found.values())


def write(folder: Path, customers: int, seed: int, asked: list[Recipient]) -> tuple[Path, Path]:
    """`customers.jsonl` and `consents.jsonl`; the same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "customers.jsonl", folder / "consents.jsonl"
    known = people(seed, asked, min(PEOPLE, customers))
    random = Random(seed)
    number = 0
    with paths[0].open("w", encoding="utf-8") as snapshots, paths[1].open("w", encoding="utf-8") as answers:
        for index in range(customers):
            customer = f"sim-crm:{index:09d}"
            profile, _ = known[index % len(known)]
            _, said = known[random.randrange(len(known))]
            snapshots.write(json.dumps({**profile, "customer_id": customer}, ensure_ascii=False) + "\n")
            for answer in said:
                number += 1
                own = {"subject_id": customer, "record_id": uuid7(START_MS, number)}
                answers.write(json.dumps(answer | own, ensure_ascii=False) + "\n")
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description="Write customers.jsonl and consents.jsonl.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--contracts", type=Path, default=Path("deploy/demo/contracts"))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(asked.folder, asked.customers, asked.seed, recipients(load_contracts(asked.contracts)))


if __name__ == "__main__":
    main()

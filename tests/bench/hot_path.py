"""What workload W1 costs without a broker: consents, then updates, through decision, projection and store.

    python -m tests.bench.hot_path [--customers 20000] [--updates 80000] [--batch 5000] [--profile]

One partition on a disk, in batches as the loop makes them; what would be written is counted and forgotten. Prints one
JSON object; microseconds are of processor time, so that what else the machine does counts less. `--profile` prints
instead where they go.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from schemas import catalogue
from sluice import topics
from sluice.avro import Reader, Writer, unframe
from sluice.avro import Record as AvroRecord
from sluice.contract import check, load_contracts
from sluice.form import form
from sluice.keys import MasterKey, PartnerKeys
from sluice.law.loading import shipped_law
from sluice.log import Ends, Positions, Record
from sluice.model import Millis
from sluice.projection import Projector, SourceReader
from sluice.rocks import RocksStores
from sluice.ruling import Policy
from sluice.source_schema import leaves
from sluice.store import Meta
from stream_processors.serving import collect_rarely
from stream_processors.sharing.batch import Batch, Moment, Situation
from stream_processors.sharing.disclosing import DisclosureWriter
from stream_processors.sharing.parties import Partnership, asked_paths
from stream_processors.sharing.partition import Partition
from stream_processors.sharing.view import View, Writers
from tests.bench import w1

_NOW = Millis(w1.START_MS + 30 * 86_400_000)
_PROFILE, _CONSENT, _DISCLOSURE, _REJECTED, _CONTROL, _FIRST_PARTNER = range(1, 7)
_TEXTS = {_CONSENT: "consent_event", _DISCLOSURE: "disclosure", _REJECTED: "rejected", _CONTROL: "control"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--updates", type=int, default=80_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-hot-path-") as folder:
        path = _Path(view(Path(folder)), Path(folder), options.batch)
        profiler = cProfile.Profile() if options.profile else None
        figures = _measured(path, options.customers, options.updates, profiler)
    if profiler is not None:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(40)
    print(json.dumps(figures, indent=2))  # noqa: T201


def _measured(path: _Path, customers: int, updates: int, profiler: cProfile.Profile | None) -> dict[str, object]:
    workload = w1.Workload(_PROFILE, _CONSENT)
    consents = _records(topics.CONSENT_EVENTS, workload.consents(customers))
    changes = _records(topics.CUSTOMER_UPDATES, workload.updates(customers, updates))
    collect_rarely()
    told = _micros(lambda: path.run([], consents), len(consents))
    if profiler is not None:
        profiler.enable()
    changed = _micros(lambda: path.run(changes, []), len(changes))
    if profiler is not None:
        profiler.disable()
    return {
        "form": form(),
        "customers": customers,
        "consents": len(consents),
        "updates": updates,
        "batch": path.batch,
        "consent_us": round(told, 1),
        "update_us": round(changed, 1),
        "written": dict(path.written),
    }


def view(folder: Path) -> View:
    """W1's contracts in force, as the processor would carry them out."""
    law, master = shipped_law(), MasterKey(bytes(range(32)))
    for partner, wanted in w1.PARTNERS.items():
        (folder / f"{partner}.yaml").write_text(yaml.safe_dump(w1.contract(partner, wanted), sort_keys=False))
    contracts = check(load_contracts(folder), leaves(w1.schema()), law).contracts
    parties = []
    for number, one in enumerate(contracts, _FIRST_PARTNER):
        own = PartnerKeys.of(master, one.contract.partner, one.contract.pseudonym_epoch)
        made = Projector(one, own, number, 1_000_000)
        parties.append(Partnership(one.partner, one.terms(), one.digest(master), own, made, acknowledge_within_ms=1))
    texts = {_PROFILE: w1.schema()} | {number: catalogue.text(name) for number, name in _TEXTS.items()}
    readers = {number: Reader(text) for number, text in texts.items()}

    def decode(value: bytes | None) -> AvroRecord:
        number, payload = unframe(value)
        return readers[number].read(payload)

    return View(
        parties=tuple(parties),
        writers=Writers(
            disclosure=DisclosureWriter(texts[_DISCLOSURE], _DISCLOSURE),
            rejected=Writer(texts[_REJECTED], _REJECTED),
            control={one.partner: Writer(texts[_CONTROL], _CONTROL) for one in parties},
            source_key=master.derive("rejected"),
            decision_key=master.derive("decision"),
            contract_set="w1",
        ),
        decode=decode,
        source=SourceReader(readers.__getitem__, asked_paths(law, parties)),
        policy=Policy({one.partner: one.terms for one in parties}, law, frozenset(), "w1"),
        acknowledged=frozenset(),
        partitions=1,
        customer_keys=None,
        contract_set="w1",
    )


class _Path:
    """One partition, and where its inputs have been read to."""

    def __init__(self, seen: View, folder: Path, batch: int) -> None:
        store = RocksStores(folder / "stores").open(0)
        self._partition = Partition(0, store, Meta("w1", 0, 0, 0, _NOW, rules=seen.rules), 0, seen)
        self._at = Positions(0, 0)
        self._monotonic = 0.0
        self.batch = batch
        self.written: Counter[str] = Counter()

    def run(self, updates: list[Record], consents: list[Record]) -> None:
        for first in range(0, max(len(updates), len(consents)), self.batch):
            some = updates[first : first + self.batch], consents[first : first + self.batch]
            self.written.update(output.topic for output in self._step(*some).outputs)

    def _step(self, updates: list[Record], consents: list[Record]) -> Batch:
        self._monotonic += 50
        at = self._at = Positions(self._at.driving + len(updates), self._at.joined + len(consents))
        moment = Moment(_NOW, self._monotonic)
        batch = self._partition.step(
            updates, consents, Situation(Ends(at.joined, at.joined, at.driving), at.driving, True, moment, 1)
        )
        self._partition.apply(batch, at, 0, moment)
        return batch


def _records(topic: str, keyed: w1.Records) -> list[Record]:
    return [Record(topic, 0, offset, one.key, one.value, _NOW) for offset, one in enumerate(keyed)]


def _micros(work: Callable[[], None], count: int) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) / max(count, 1) * 1e6


if __name__ == "__main__":
    main()

"""How long it takes to bring up lost state: from the logs, from a snapshot, with a standby (`make bench-rebuild`).

    python -m tests.bench.rebuild [--customers 100000]

A broker of its own, one sharing processor, and customers who each said yes to one partner. Prints one JSON object:
seconds until every partition is served and until everybody is reconciled, and customers a second.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice import topics
from sluice.local import stack
from sluice.partitioning import partition_of
from tests.chaos.standing import Group
from tests.integration.installation import HOSHI, PARTITIONS, Installation, Processor, eventually

_PATIENCE_SECONDS = 3_600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-rebuild-") as name, installation(Path(name)) as there:
        print(json.dumps(measure(there, wanted.customers), indent=2))  # noqa: T201


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """On a broker of its own."""
    state = folder / "local"
    state.mkdir()
    made = Installation(stack.start(state), folder)
    try:
        made.set_up()
        yield made
    finally:
        made.tear_down()
        stack.stop(state)


def measure(installation: Installation, customers: int) -> dict[str, object]:
    """Loads, then takes the state away in each way."""
    figures: dict[str, object] = {"customers": customers, "partitions": PARTITIONS}
    installation.write_settings(snapshots=str(installation.folder / "snapshots"), snapshot_every_s=1)
    _load(installation, customers)
    processor, figures["first_sharing"] = _timed_start(installation, customers)
    eventually(lambda: _snapshots(processor) == PARTITIONS, "a snapshot of each", _PATIENCE_SECONDS)
    processor.stop()
    state = installation.folder / "state"

    installation.write_settings()
    processor, figures["restart_with_store"] = _timed_start(installation, customers)
    processor.kill()
    shutil.rmtree(state)
    processor, figures["rebuild_from_logs"] = _timed_start(installation, customers)
    processor.kill()
    shutil.rmtree(state)
    installation.write_settings(snapshots=str(installation.folder / "snapshots"))
    processor, figures["restore_from_snapshot"] = _timed_start(installation, customers)
    figures["takeover_with_standby"] = _takeover(installation, processor, standby=True)
    return figures


def _load(installation: Installation, customers: int) -> None:
    profile = installation.profile("crm:0", email="someone@example.com")
    for number in range(customers):
        customer = f"crm:{number}"
        key = customer.encode()
        partition = partition_of(key, PARTITIONS)
        said = installation.consent_writer.write(installation.consent(customer, HOSHI, "GIVEN"))
        for topic, value in ((topics.CONSENT_EVENTS, said), (topics.CUSTOMER_UPDATES, profile)):
            installation.crm.produce(topic, value, key, partition=partition)
        if number % 500 == 0:
            installation.crm.flush(60)
            _tell(f"loaded {number} of {customers}")
    assert installation.crm.flush(60) == 0


def _timed_start(installation: Installation, customers: int) -> tuple[Processor, dict[str, float]]:
    started = time.monotonic()
    processor = installation.start_processor(wait=False)
    eventually(lambda: _serving(processor) >= PARTITIONS, "served", _PATIENCE_SECONDS)
    served = time.monotonic() - started
    group = Group(installation.settings.client("admin"), installation.settings.sharing.group)
    eventually(lambda: _is_settled(processor, group), "everybody reconciled", _PATIENCE_SECONDS)
    group.close()
    settled = time.monotonic() - started
    figures = {"served_s": served, "reconciled_s": settled, "customers_per_s": customers / settled}
    _tell(f"{figures}")
    return processor, {name: round(figure, 1) for name, figure in figures.items()}


def _takeover(installation: Installation, owner: Processor, *, standby: bool) -> dict[str, float]:
    """The owner is killed; from then until another one serves everything."""
    installation.write_settings(standby=standby)
    other = installation.start_processor("1", wait=False)
    eventually(lambda: _serving(other) >= PARTITIONS // 2, "the other serves its half", _PATIENCE_SECONDS)
    group = Group(installation.settings.client("admin"), installation.settings.sharing.group)
    eventually(lambda: _is_settled(other, group), "and has reconciled it", _PATIENCE_SECONDS)
    group.close()
    time.sleep(20 if standby else 0)
    before = _serving(other)
    owner.kill()
    killed = time.monotonic()
    eventually(lambda: _serving(other) >= before + PARTITIONS, "taken over", _PATIENCE_SECONDS)
    return {"served_s": round(time.monotonic() - killed, 1), "of_which_session_timeout_s": 6.0}


def _serving(processor: Processor) -> int:
    return sum(event["event"] == "serving" for event in processor.events())


def _snapshots(processor: Processor) -> int:
    return len({event["partition"] for event in processor.events() if event["event"] == "snapshot_taken"})


def _is_settled(processor: Processor, group: Group) -> bool:
    """Whoever had to catch up has, and what was committed last says that nobody waits and nothing is unread."""
    events = processor.events()
    behind = {event["partition"] for event in events if event["event"] == "serving" and event["catching_up"]}
    caught_up = {event["partition"] for event in events if event["event"] == "reconciling_ended"}
    standing = group.standing()
    return behind <= caught_up and standing is not None and standing.settled and standing.backlog == 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()

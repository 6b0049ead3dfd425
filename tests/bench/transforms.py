"""What each transform costs on one value, in microseconds: `python tests/bench/transforms.py`. Best of five rounds."""

from __future__ import annotations

import tempfile
import timeit
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path

from sluice.customer_keys import SqliteCustomerKeys
from sluice.keys import MasterKey, PartnerKeys, table_key
from sluice.model import CustomerId, PartnerId
from sluice.redaction import Customer, Target, parse_rule, redact
from sluice.redaction.match_key import EMAIL, FIRST_NAME, PHONE
from sluice.token_table import issue, table_path

MASTER = MasterKey(bytes(32))
CASES: list[tuple[object, object, str]] = [
    ("keep", "Hanako", "user"),
    ({"mask": {"first": 1}}, "Hanako", "user"),
    ({"truncate": 3}, "Hanako", "user"),
    ({"truncate": 2}, "佐藤花子", "user"),
    ("birth_year", -671, "user"),
    ({"age_band": date(2026, 1, 1)}, -671, "user"),
    ({"postcode_prefix": 3}, "100-0001", "user"),
    ({"postcode_prefix": {"country": "JP"}}, "100-0001", "user"),
    ("geo_round", 35.681236, "user"),
    ("pseudonym", "dell-crm:1", "user"),
    ("salted_hash", "dell-crm:1", "user"),
    ({"match_key": "google"}, "Hanako.Sato@gmail.com", EMAIL),
    ({"match_key": "google"}, "+81 3 1234 5678", PHONE),
    ({"match_key": "meta"}, "Hanako", FIRST_NAME),
    ("fpe_ff1", "0123456789", "user"),
    ("aes_siv", "hanako@example.com", "user"),
    ("aes_gcm", "hanako@example.com", "user"),
    ({"token": "bench"}, "0123456789", "user"),
]


def measure(folder: Path) -> Mapping[str, float]:
    customer = Customer(CustomerId("dell-crm:1"), "record", bytes(32))
    target = PartnerKeys.of(MASTER, PartnerId("bench"), 1).field("a")
    return {
        f"{written}  {value}": _best(folder, written, value, Target(target, kind), customer)
        for written, value, kind in CASES
    }


def _best(folder: Path, written: object, value: object, target: Target, customer: Customer) -> float:
    rule = parse_rule(written, {"folder": folder})
    return _microseconds(lambda: redact(rule, value, target, customer))


def _microseconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=2_000, repeat=5)) / 2_000 * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        issue(table_path(folder, "bench"), table_key(MASTER, "bench"), ["0123456789"])
        costs = dict(measure(folder))
        with closing(SqliteCustomerKeys(folder / "keys", MASTER)) as keys:
            costs["a customer's own key, looked up"] = _microseconds(lambda: keys.key_of(CustomerId("dell-crm:1")))
        for what, cost in costs.items():
            print(f"{cost:8.1f}  {what}")  # noqa: T201 - the figures are its purpose


if __name__ == "__main__":
    main()

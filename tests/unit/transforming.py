"""One field of one customer on its way to one partner, for the tests of the transforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sluice.keys import CustomerKey, MasterKey, NoKey, PartnerKeys
from sluice.model import CustomerId, PartnerId
from sluice.redaction import Customer, Target, parse_rule, redact

MASTER = MasterKey(bytes(range(32)))
HANAKO, TARO = CustomerId("dell-crm:1"), CustomerId("dell-crm:2")


@dataclass
class KeysInMemory:
    """As the file has them, but in sight."""

    keys: dict[CustomerId, CustomerKey] = field(default_factory=dict)

    def key_of(self, customer: CustomerId) -> CustomerKey:
        return self.keys.setdefault(customer, customer.encode().ljust(32, b"."))

    def destroy(self, customer: CustomerId) -> None:
        self.keys[customer] = NoKey.DESTROYED


def target(
    path: str = "a", category: str = "user", *, partner: str = "hoshi-card", epoch: int = 1, master: MasterKey = MASTER
) -> Target:
    return Target(PartnerKeys.of(master, PartnerId(partner), epoch).field(path), category)


def customer(name: CustomerId = HANAKO, *, record_key: str = "", keys: KeysInMemory | None = None) -> Customer:
    """As at this moment: what becomes of the key later does not change it."""
    return Customer(name, record_key or f"record of {name}", (keys or KeysInMemory()).key_of(name))


def result(written: object, value: object, field: Target | None = None, whose: Customer | None = None) -> Any:  # noqa: ANN401
    """What the partner gets."""
    return redact(parse_rule(written), value, field or target(), whose or customer()).value

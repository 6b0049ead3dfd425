"""One-way stand-ins for a value."""

from __future__ import annotations

import hashlib
import hmac

from sluice import keys
from sluice.redaction.rule import Customer, IdentifierRule, Target, identifier_of

_SALT_BYTES = 16


class PseudonymOf(IdentifierRule):
    """The partner's own pseudonym of the value: equal values are equal within the contract, and nowhere else."""

    def apply(self, value: object, target: Target, customer: Customer) -> object:
        text = identifier_of(value)
        if text == customer.id and target.keys.path == keys.RECORD_KEY:
            return customer.record_key  # which is this very pseudonym
        return keys.pseudonym(target.keys.of("pseudonym"), text)


class SaltedHash(IdentifierRule):
    """A commitment: SHA-256 of a salt and the value, in hexadecimal. The salt is another for each customer.

    So it joins with nothing; with the salt, which only we can derive, one can be shown to what value it belongs.
    """

    def apply(self, value: object, target: Target, customer: Customer) -> object:
        salt = salt_of(target, customer)
        return hashlib.sha256(salt + identifier_of(value).encode()).hexdigest()


def salt_of(target: Target, customer: Customer) -> bytes:
    """HMAC-SHA256 of the customer's id with the field's key, cut to 128 bits."""
    return hmac.digest(target.keys.of("salt"), customer.id.encode(), "sha256")[:_SALT_BYTES]

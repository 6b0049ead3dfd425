"""Whose records stand in partners' topics: every pseudonym that a known customer can have had. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sluice import keys
from sluice.avro import Record as AvroRecord
from sluice.avro import Undecodable
from sluice.keys import PartnerKeys
from sluice.model import CustomerId, Held, PartnerId, Pseudonym


@dataclass(frozen=True, slots=True)
class Recipient:
    """One partner, as all the contract sets that are recorded know it."""

    partner: PartnerId
    epochs: tuple[PartnerKeys, ...]
    """The newest first; none when no contract of the partner can be read any more."""
    contract: str
    """Digest of its newest contract."""
    paths: Mapping[str, str]
    """Source path by the name of the field in the partner's records."""
    acknowledge_within_ms: int


class Standing(NamedTuple):
    """The newest record of a key in a partner's topic."""

    offset: int
    value: bytes


class Holdings:
    """What stands in the partners' topics of one partition; who is identified is taken out, and orphans remain."""

    def __init__(self, recipients: Mapping[PartnerId, Recipient], decode: Callable[[bytes], AvroRecord]) -> None:
        self._recipients = recipients
        self._decode = decode
        self._standing: dict[PartnerId, dict[bytes, Standing]] = {partner: {} for partner in recipients}

    def see(self, partner: PartnerId, key: bytes, offset: int, value: bytes | None) -> None:
        """A record of the partner's topic, in their order."""
        if value is None:
            self._standing[partner].pop(key, None)
        else:
            self._standing[partner][key] = Standing(offset, value)

    def identify(self, customer: CustomerId) -> dict[PartnerId, Held]:
        """What each partner holds of the customer, taken out.

        Under the newest pseudonym that is found: a partner holds a customer under one, and another one is an orphan.
        So is a record that cannot be read, for what is in it is not known. Raises RegistryUnavailable.
        """
        held = {}
        for partner, recipient in self._recipients.items():
            standing = self._standing[partner]
            for epoch in recipient.epochs if standing else ():
                pseudonym = keys.pseudonym(epoch.record, customer)
                found = standing.get(pseudonym.encode())
                if found is not None and (fields := self._fields(recipient, found.value)) is not None:
                    del standing[pseudonym.encode()]
                    held[partner] = _held(recipient, epoch, pseudonym, found.value, fields)
                    break
        return held

    def orphans(self) -> Iterator[tuple[Recipient, Pseudonym, Standing]]:
        """What nobody who is known can be called."""
        for partner, standing in self._standing.items():
            for key, found in standing.items():
                yield self._recipients[partner], Pseudonym(key.decode(errors="replace")), found

    def _fields(self, recipient: Recipient, value: bytes) -> tuple[str, ...] | None:
        """Source paths of what is not empty; a field that no contract knows stays under its own name."""
        try:
            record = self._decode(value)
        except Undecodable:
            return None
        return tuple(recipient.paths.get(name, name) for name, one in record.items() if one is not None)


def _held(recipient: Recipient, epoch: PartnerKeys, name: Pseudonym, value: bytes, fields: tuple[str, ...]) -> Held:
    """On what basis it was shared is not known any more: reconciling finds one, or recalls it."""
    return Held(
        pseudonym=name,
        key_epoch=epoch.epoch,
        contract=recipient.contract,
        fields=fields,
        digest=keys.keyed_digest(epoch.digest, value),
        consents=(),
        rules=(),
        expires_at=None,
    )

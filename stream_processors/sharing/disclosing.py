"""Writes disclosures from pieces: most of one is the same as in the one before it, and is encoded once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from sluice.avro import frame
from sluice.model import Held, PartnerId, Pointer
from sluice.wire import varint

_DISCLOSURE: Final = ["covers", "decided_at", "contract_set", "entries"]
_ENTRY: Final = [
    "partner",
    "action",
    "reason",
    "pseudonym",
    "key_epoch",
    "contract",
    "fields",
    "digest",
    "consents",
    "rules",
    "expires_at",
    "rectified_at",
    "decision_id",
]
"""In these orders the pieces are put together."""
_ACTIONS: Final = {"SHARED": varint(0), "REAFFIRMED": varint(1), "RECALLED": varint(2)}
_NULL: Final = varint(0)
_SOME: Final = varint(1)
"""The branches of the schema's unions, null and something."""
_END: Final = varint(0)
"""Of an array."""
_MOST: Final = 1 << 12
"""Pieces that are kept."""


class DisclosureWriter:
    """Writes framed records of `schemas/disclosure`; an entry of one is made of what is held, before the record is."""

    def __init__(self, schema: str, schema_id: int) -> None:
        """Raises ValueError for a schema that is not the one this was written for."""
        fields = json.loads(schema)["fields"]
        entry = fields[-1]["type"]["items"]["fields"]
        names = [one["name"] for one in fields], [one["name"] for one in entry]
        if names != (_DISCLOSURE, _ENTRY) or entry[1]["type"]["symbols"] != list(_ACTIONS):
            raise ValueError("the schema of disclosures has changed, and what writes them has not")
        self._frame = frame(schema_id, b"")

    def entry(self, partner: PartnerId, action: str, held: Held, decision: str, reason: str | None = None) -> bytes:
        """That the partner holds this: SHARED or REAFFIRMED."""
        pseudonym = held.pseudonym.encode()
        return b"".join(
            (
                _begun(partner, action, reason),
                varint(len(pseudonym)),
                pseudonym,
                self.basis(held),
                varint(len(held.digest)),
                held.digest,
                self.evidence(held),
                _text(decision),
            )
        )

    def begun(self, partner: PartnerId, action: str) -> bytes:
        """An entry without a reason up to the pseudonym."""
        return _begun(partner, action, None)

    def basis(self, held: Held) -> bytes:
        """An entry from behind the pseudonym to the digest."""
        return _under(held.key_epoch, held.contract, held.fields) + _SOME

    def evidence(self, held: Held) -> bytes:
        """An entry from behind the digest to the decision's id."""
        basis = _texts(held.consents) + _known_texts(held.rules)
        return basis + _optional(held.expires_at) + _optional(held.rectified_at)

    def recalled(self, partner: PartnerId, reason: str | None, held: Held, decision: str) -> bytes:
        """Names what is taken back by its pseudonym; a recall discloses no field."""
        return b"".join(
            (
                _begun(partner, "RECALLED", reason),
                _text(held.pseudonym),
                _under(held.key_epoch, held.contract, ()),
                _NULL,
                _END,
                _END,
                _NULL,
                _NULL,
                _text(decision),
            )
        )

    def write(
        self, covers: Sequence[Pointer], decided_at: int, contract_set: str, count: int, entries: Iterable[bytes]
    ) -> bytes:
        """The framed record of so many entries, at least one, given whole or in pieces."""
        pieces = [self._frame]
        if covers:
            pieces.append(varint(len(covers)))
            for topic, _, offset in covers:
                pieces.append(_known_text(topic))
                pieces.append(varint(offset))
        pieces += (_END, _known_number(decided_at), _known_text(contract_set), varint(count), *entries, _END)
        return b"".join(pieces)


@lru_cache(_MOST)
def _begun(partner: str, action: str, reason: str | None) -> bytes:
    why = _NULL if reason is None else _SOME + _text(reason)
    return _text(partner) + _ACTIONS[action] + why


@lru_cache(_MOST)
def _under(key_epoch: int, contract: str, fields: tuple[str, ...]) -> bytes:
    return varint(key_epoch) + _text(contract) + _texts(fields)


@lru_cache(_MOST)
def _known_texts(values: tuple[str, ...]) -> bytes:
    return _texts(values)


@lru_cache(_MOST)
def _known_number(value: int) -> bytes:
    return varint(value)


@lru_cache(_MOST)
def _known_text(value: str) -> bytes:
    return _text(value)


def _text(value: str) -> bytes:
    found = value.encode()
    return varint(len(found)) + found


def _texts(values: Sequence[str]) -> bytes:
    """An array in one block, as libraries write it."""
    if not values:
        return _END
    return b"".join((varint(len(values)), *[_text(value) for value in values], _END))


def _optional(value: int | None) -> bytes:
    return _NULL if value is None else _SOME + varint(value)

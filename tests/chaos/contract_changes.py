"""Contracts that are rewritten at random, as a year of negotiations would, and put in force."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from sluice.installation import apply
from sluice.model import PartnerId
from sluice.settings import load_settings
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, PARTNERS, Installation

_Document = dict[str, Any]
_Change = Callable[[_Document, random.Random], str]

# What each partner may be given beside what its contract asks for, and what it can do without. Types never change:
# a partner's schema is compatible both ways for ever.
_OPTIONAL: dict[str, dict[str, Any]] = {
    ADRESSO: {"address.street2": "keep", "address.city": "keep", "address.state": "keep"},
    HOSHI: {
        "given_name": "keep",
        "email": "keep",
        "birth_date": "birth_year",
        "loyalty.tier": "keep",
        "address.postal_code": {"postcode_prefix": 3},
    },
    LISTMART: {
        "given_name": {"truncate": 1},
        "birth_date": "birth_year",
        "address.state": "keep",
        "address.postal_code": {"postcode_prefix": 2},
    },
}
_FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"address.country": ["AU", "JP"]},
    {"address.country": ["AU"]},
    {"address.country": ["JP", "NZ"]},
    {"loyalty.tier": ["GOLD", "SILVER"]},
)


class ContractChanges:
    """The installation's contracts, one random change after the other."""

    def __init__(self, installation: Installation, chance: random.Random) -> None:
        self._installation = installation
        self._chance = chance
        self._folder = installation.contracts_folder
        self._written = {partner: _read(self._folder / f"{partner}.yaml") for partner in PARTNERS}
        self._taken_out: set[str] = set()

    def change(self) -> str:
        """Write one change and put it in force; returns what it was. After a SluiceError it is written all the same."""
        partner = self._chance.choice(PARTNERS)
        if partner in self._taken_out or (not self._taken_out and self._chance.random() < 0.1):
            what = self._in_or_out(partner)
        else:
            before = deepcopy(self._written[partner])
            while self._written[partner] == before:
                what = self._chosen(partner)(self._written[partner], self._chance)
        self.write()
        self.put_in_force()
        return f"{partner}: {what}"

    def write(self) -> None:
        for partner, document in self._written.items():
            path = self._folder / f"{partner}.yaml"
            if partner in self._taken_out:
                path.unlink(missing_ok=True)
            else:
                path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def put_in_force(self) -> str:
        """The digest of the set that is in force now. May be repeated."""
        return apply(load_settings(self._installation.settings_path), lambda _: None).contract_set

    def _chosen(self, partner: PartnerId) -> _Change:
        paused = self._written[partner].get("paused", False)
        return _pause if paused and self._chance.random() < 0.5 else self._chance.choice(_CHANGES)

    def _in_or_out(self, partner: str) -> str:
        if partner in self._taken_out:
            self._taken_out.remove(partner)
            return "put back"
        self._taken_out.add(partner)
        return "taken out"


def _fields(document: _Document, chance: random.Random) -> str:
    path, rule = chance.choice(list(_OPTIONAL[document["partner"]].items()))
    if document["fields"].pop(path, None) is not None:
        return f"no {path} any more"
    document["fields"][path] = rule
    return f"{path} too"


def _filter(document: _Document, chance: random.Random) -> str:
    document["where"] = chance.choice(_FILTERS)
    return f"only where {document['where']}"


def _pause(document: _Document, _: random.Random) -> str:
    document["paused"] = not document.get("paused", False)
    return "paused" if document["paused"] else "goes on"


def _epoch(document: _Document, _: random.Random) -> str:
    document["pseudonym_epoch"] = document.get("pseudonym_epoch", 1) + 1
    return f"pseudonyms of epoch {document['pseudonym_epoch']}"


_CHANGES: tuple[_Change, ...] = (_fields, _fields, _fields, _filter, _pause, _epoch)


def _read(path: Path) -> _Document:
    document: _Document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document

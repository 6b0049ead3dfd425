"""Contract sets as they are recorded in `sluice.contract-sets`: everything that decisions depend on, content-addressed.

A set holds the contracts, token tables and law packs as they are written, and the source schema that they were checked
against, so that whoever has the master key can decide as the processor did. The newest record is the set in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from sluice import topics
from sluice.contract import Contract, ContractSet, check, load_contracts, read_contracts
from sluice.errors import SluiceError
from sluice.facts import FactPaths
from sluice.keys import MasterKey
from sluice.law.loading import load_law
from sluice.law.pack import Law
from sluice.model import PartnerId
from sluice.source_schema import leaves


class ReCreated(SluiceError):
    """A topic is not the one that the set in force is about: what it said before is lost."""


class RecordedPartner(msgspec.Struct, frozen=True):
    """A partner of the set, or one whose contract has gone and which may still hold something."""

    partner: PartnerId
    customers: str
    """Id of its customer topic: re-created under the same name it has another."""
    control: str
    acknowledge_within_ms: int
    ended: bool = False


class RecordedSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field that is added needs a default, which is left out: the digests of older sets stay what they are."""

    contracts: dict[str, str]
    """Text by path below the contracts' folder; token tables too."""
    laws: dict[str, str]
    """Text of the law packs by file name."""
    source_schema: str
    source_priority: tuple[str, ...]
    facts: dict[str, str]
    """Where the source states what laws ask."""
    partners: tuple[RecordedPartner, ...]
    """In the order of their names."""
    master_key: str
    """The master key's fingerprint."""
    topics: dict[str, str] = {}
    """Ids of the inputs', the disclosures' and the rejects' topics, by name."""

    def encode(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        return blake2b(self.encode(), digest_size=16).hexdigest()

    def topic_ids(self) -> dict[str, str]:
        """Of all topics that the set is about, by name: re-created under the same name one has another id."""
        of_partners = {topics.customers(one.partner): one.customers for one in self.partners}
        return self.topics | of_partners | {topics.control(one.partner): one.control for one in self.partners}

    def names(self) -> dict[PartnerId, RecordedPartner]:
        return {one.partner: one for one in self.partners}


def decode(key: bytes | None, value: bytes | None) -> RecordedSet:
    """Raises SluiceError for a record that is no set, or not the one that its key names."""
    try:
        found = msgspec.json.decode(value or b"", type=RecordedSet)
    except msgspec.MsgspecError:
        raise SluiceError("A record in sluice.contract-sets is no contract set: run `sluice apply` again.") from None
    if found.digest.encode() != key:
        raise SluiceError("A contract set in sluice.contract-sets was altered: run `sluice apply` again.")
    return found


@dataclass(frozen=True, slots=True)
class LoadedSet:
    """A recorded set as this program carries it out."""

    recorded: RecordedSet
    contracts: ContractSet
    law: Law
    rules: str
    """Digest of the set and of what makes decisions of it: transforms, and libraries with data in them."""

    @property
    def digest(self) -> str:
        return self.recorded.digest


def load(recorded: RecordedSet, master: MasterKey) -> LoadedSet:
    """Raises SluiceError when the set is not for this master key, or this version of the program cannot read it."""
    if recorded.master_key != master.fingerprint:
        raise SluiceError(
            "The contract set in force was recorded with another master key: restore that key, or run "
            "`sluice apply`; then every pseudonym is another one, and everything is recalled and shared anew."
        )
    with TemporaryDirectory(prefix="sluice-set-") as name:
        folder = Path(name)
        law = unpack(recorded, folder)
        contracts = check(load_contracts(folder / "contracts"), leaves(recorded.source_schema), law)
    rules = blake2b(f"{recorded.digest} {contracts.digest(master)}".encode(), digest_size=16).hexdigest()
    return LoadedSet(recorded, contracts, law, rules)


def contracts(recorded: RecordedSet) -> tuple[Contract, ...]:
    """As they were written and without a key: those that this version of the program can read."""
    with TemporaryDirectory(prefix="sluice-set-") as name:
        _write(Path(name), recorded.contracts)
        loaded, _ = read_contracts(Path(name))
    return tuple(contract for contract, _ in loaded.values())


def unpack(recorded: RecordedSet, folder: Path) -> Law:
    """Its contracts into `contracts`, its law packs into `laws`; and the law. Raises SluiceError."""
    _write(folder / "contracts", recorded.contracts)
    _write(folder / "laws", recorded.laws)
    return load_law(folder / "laws", recorded.source_priority, FactPaths(**recorded.facts))


def partners(
    contracts: ContractSet, topic_ids: Mapping[PartnerId, tuple[str, str]], before: RecordedSet | None
) -> tuple[RecordedPartner, ...]:
    """The set's partners, and those that were in the set before and have no contract any more.

    `topic_ids`: ids of the customer and the control topic by partner, of those that have not been removed. Raises
    ReCreated for a partner whose topics were re-created while it had a contract: what it holds is not known then.
    """
    named = {}
    for contract in contracts.contracts:
        within = int(contract.contract.limits.acknowledge_within.total_seconds() * 1000)
        named[contract.partner] = RecordedPartner(contract.partner, *topic_ids[contract.partner], within)
    known = before.names() if before else {}
    for partner, one in known.items():
        if partner not in topic_ids:
            continue
        if partner not in named:
            named[partner] = RecordedPartner(partner, *topic_ids[partner], one.acknowledge_within_ms, ended=True)
        elif not one.ended and (one.customers, one.control) != topic_ids[partner]:
            raise ReCreated(
                f"The topics of {partner} were re-created, so what it holds is not known: take its contract out, "
                "`sluice apply`, wait until everything is recalled, put the contract back, `sluice apply`."
            )
    return tuple(named[partner] for partner in sorted(named))


def texts(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """The files below a folder that match, by path in it."""
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise SluiceError(f"A contract set names a file outside of its folder: {name}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

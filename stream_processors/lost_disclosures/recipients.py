"""Partners as the recorded contract sets have them, the oldest that is still recorded included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice import recorded_set
from sluice.contract import CheckedContract, partner_field
from sluice.errors import SluiceError
from sluice.keys import MasterKey, PartnerKeys
from sluice.model import PartnerId
from sluice.recorded_set import RecordedSet
from stream_processors.lost_disclosures.identification import Recipient


def recipients(sets: Sequence[RecordedSet], master: MasterKey) -> Mapping[PartnerId, Recipient]:
    """All partners of the newest set, whose contract may have ended. Raises SluiceError when that cannot be read.

    An older set that cannot be read any more is left out: what was shared under its keys alone is an orphan then.
    """
    contracts: dict[PartnerId, list[CheckedContract]] = {}
    for recorded in sets:
        for contract in _contracts(recorded, master, required=recorded is sets[-1]):
            contracts.setdefault(contract.partner, []).append(contract)
    return {
        one.partner: _recipient(one.partner, contracts.get(one.partner, []), one.acknowledge_within_ms, master)
        for one in sets[-1].partners
    }


def _contracts(recorded: RecordedSet, master: MasterKey, *, required: bool) -> Sequence[CheckedContract]:
    try:
        return recorded_set.load(recorded, master).contracts.contracts
    except SluiceError:
        if required:
            raise
        return ()


def _recipient(
    partner: PartnerId, contracts: Sequence[CheckedContract], acknowledge_within_ms: int, master: MasterKey
) -> Recipient:
    newest = max((one.contract.pseudonym_epoch for one in contracts), default=0)
    return Recipient(
        partner=partner,
        epochs=tuple(PartnerKeys.of(master, partner, epoch) for epoch in range(newest, 0, -1)),
        contract=contracts[-1].digest(master) if contracts else "",
        paths={partner_field(path): path for one in contracts for path in one.contract.shared_fields},
        acknowledge_within_ms=acknowledge_within_ms,
    )

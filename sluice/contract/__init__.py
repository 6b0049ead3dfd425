"""Contracts: one YAML file a partner, read by people, refused whole when one word is wrong."""

from sluice.contract.checked import CheckedContract, ContractSet
from sluice.contract.checking import check, examine
from sluice.contract.document import Contract
from sluice.contract.loading import LoadedContracts, load_contracts, read_contracts
from sluice.contract.partner_record import partner_field, partner_schema

__all__ = [
    "CheckedContract",
    "Contract",
    "ContractSet",
    "LoadedContracts",
    "check",
    "examine",
    "load_contracts",
    "partner_field",
    "partner_schema",
    "read_contracts",
]

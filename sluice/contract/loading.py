"""Contracts from their folder."""

from __future__ import annotations

from pathlib import Path

from sluice.contract.document import Contract
from sluice.document import DocumentError, Source, load
from sluice.model import PartnerId

LoadedContracts = dict[PartnerId, tuple[Contract, Source]]
"""Contracts by partner, with where their parts stand in their files."""


def load_contracts(folder: Path) -> LoadedContracts:
    """Every `*.yaml` and `*.yml` in the folder. Raises DocumentError with all problems of all files."""
    loaded, problems = read_contracts(folder)
    if problems:
        raise DocumentError("\n".join(problems))
    return loaded


def read_contracts(folder: Path) -> tuple[LoadedContracts, list[str]]:
    """The contracts that can be read, and what is wrong with the others. Raises DocumentError if there are no files."""
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".yaml", ".yml"))
    if not paths:
        raise DocumentError(f"{folder}: there is no contract here; put one YAML file a partner into this folder.")
    loaded: LoadedContracts = {}
    problems = []
    for path in paths:
        try:
            contract, source = load(path, Contract)
        except DocumentError as error:
            problems.append(str(error))
            continue
        if contract.partner in loaded:
            other = loaded[contract.partner][1].path
            problems.append(source.problem(("partner",), f"`{contract.partner}` already has a contract in {other}"))
        loaded[contract.partner] = contract, source
    return loaded, problems

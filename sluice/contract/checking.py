"""Contracts against the source schema, the laws' words and data minimisation: every problem, where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sluice import redaction
from sluice.consent import within
from sluice.contract.checked import CheckedContract, ContractSet
from sluice.contract.document import Contract
from sluice.contract.loading import LoadedContracts, read_contracts
from sluice.contract.partner_record import partner_field
from sluice.contract.stated_facts import misplaced_facts, tells_last_change
from sluice.document import DocumentError, Loc, nearest
from sluice.law.minimisation import shipped_minimisation
from sluice.law.pack import Law
from sluice.source_schema import Leaf, NoSuchLeaf, SourceSchema

_SPECIAL = "special_category"
"""The data class of GDPR 9(1), in the law packs' words."""
_SENSITIVE = (_SPECIAL, "sensitive", "sensitive_pi", "special_care_required")
"""What no provider may tell us of anybody, in the same words."""
_OF_TASKS, _OF_CAMPAIGNS = "operations", "marketing.communications"
"""The purposes that a provider works for us under."""
_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Problem = tuple[Loc, str]


def check(loaded: LoadedContracts, schema: SourceSchema, law: Law) -> ContractSet:
    """The contracts as they may be shared under. Raises DocumentError with every problem of every contract."""
    problems = [*misplaced_facts(law.paths, schema), *_misfits(loaded, schema, law)]
    if problems:
        raise DocumentError("\n".join(problems))
    checked = tuple(_checked(contract, schema, law) for _, (contract, _) in sorted(loaded.items()))
    return ContractSet(checked, law.digest)


def examine(folder: Path, schema: SourceSchema, law: Law) -> ContractSet:
    """The folder's contracts, read and checked. Raises DocumentError with all problems of both."""
    loaded, unreadable = read_contracts(folder)
    problems = [*unreadable, *misplaced_facts(law.paths, schema), *_misfits(loaded, schema, law)]
    if problems:
        raise DocumentError("\n".join(problems))
    return check(loaded, schema, law)


def _checked(contract: Contract, schema: SourceSchema, law: Law) -> CheckedContract:
    return CheckedContract(
        contract,
        leaves={path: schema[path] for path in contract.shared_fields},
        evidence=frozenset(law.evidence_words[word.lower()] for word in contract.evidence),
        alt_basis=frozenset(word.lower() for word in contract.alt_basis),
        filtered={path: schema[path] for path in contract.where},
    )


def _misfits(loaded: LoadedContracts, schema: SourceSchema, law: Law) -> list[str]:
    return [
        source.problem(loc, text)
        for contract, source in loaded.values()
        for loc, text in _problems(contract, schema, law)
    ]


def _problems(contract: Contract, schema: SourceSchema, law: Law) -> Iterator[Problem]:
    shared = {path: schema[path] for path in contract.shared_fields if path in schema}
    yield from _fields(contract, schema)
    yield from _filters(contract, schema)
    yield from _names(shared)
    yield from _words(contract, law)
    filtered = {path: schema[path] for path in contract.where if path in schema}
    yield from _special(contract, {"fields": shared, "where": filtered}, law.data_classes[_SPECIAL])
    yield from _minimal(contract, shared)
    yield from _work(contract, frozenset().union(*(law.data_classes[name] for name in _SENSITIVE)))
    if contract.limits.retain is not None and not tells_last_change(law.paths, schema):
        text = f"retention counts from `{law.paths.updated_at}`, and the source has no time in milliseconds there"
        yield ("limits", "retain"), f"{text} (setting `facts.updated_at`)"


def _fields(contract: Contract, schema: SourceSchema) -> Iterator[Problem]:
    for path, rule in contract.fields.items():
        leaf = _leaf(schema, path)
        if isinstance(leaf, str):
            yield ("fields", path), leaf
        elif refusal := rule.refusal(leaf):
            yield ("fields", path), f"this transform of `{path}` {refusal}"


def _filters(contract: Contract, schema: SourceSchema) -> Iterator[Problem]:
    for path, wanted in contract.where.items():
        leaf = _leaf(schema, path)
        problem = leaf if isinstance(leaf, str) else wanted.misfit(path, leaf)
        if problem is not None:
            yield ("where", path), problem


def _leaf(schema: SourceSchema, path: str) -> Leaf | str:
    """The leaf, or why there is none."""
    try:
        return schema.leaf(path)
    except NoSuchLeaf as error:
        return str(error)


def _names(shared: Mapping[str, Leaf]) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for path in shared:
        name = partner_field(path)
        other = taken.setdefault(name, path)
        if _AVRO_NAME.fullmatch(name) is None:
            yield (
                ("fields", path),
                f"`{path}` would be named `{name}`, and names in records have only letters, digits and _",
            )
        elif other != path:
            yield ("fields", path), f"`{path}` and `{other}` would have the same name"


def _words(contract: Contract, law: Law) -> Iterator[Problem]:
    for index, word in enumerate(contract.evidence):
        if word.lower() not in law.evidence_words:
            yield (
                ("evidence", index),
                f"no law asks for the evidence `{word}`{nearest(word.lower(), law.evidence_words)}",
            )
    for index, word in enumerate(contract.alt_basis):
        if word.lower() not in law.alt_bases:
            near = nearest(word.lower(), sorted(law.alt_bases))
            yield ("alt_basis", index), f"no law has the alternative `{word}`{near}"


def _special(contract: Contract, used: Mapping[str, Mapping[str, Leaf]], special: frozenset[str]) -> Iterator[Problem]:
    """A row filter tells the partner what its field holds, of everybody who passes."""
    leaves: dict[Loc, Leaf] = {(key, path): leaf for key, found in used.items() for path, leaf in found.items()}
    touched = {loc: leaf.category for loc, leaf in leaves.items() if _touches(leaf.category, special)}
    for loc, category in touched.items():
        if not any(_names_category(key, category, special) for key in contract.special_categories):
            hint = f"to share it on purpose, list `{category}` under `special_categories`"
            yield loc, f"`{loc[-1]}` is, or may be, of a special category (GDPR 9(1): `{category}`); {hint}"
    for index, key in enumerate(contract.special_categories):
        if not any(_names_category(key, category, special) for category in touched.values()):
            yield ("special_categories", index), _unused(key, special)


def _touches(category: str, special: frozenset[str]) -> bool:
    """Whether data of this category is special, or may be: `user.demographic` may be anything below it."""
    return any(within(category, key) or within(key, category) for key in special)


def _names_category(key: str, category: str, special: frozenset[str]) -> bool:
    """A category is named by itself, or by a parent that is special as a whole."""
    return key == category or (within(category, key) and any(within(key, one) for one in special))


def _unused(key: str, special: frozenset[str]) -> str:
    if _touches(key, special):
        return f"no field of this contract is of the special category `{key}`; remove it"
    return f"`{key}` is no special category{nearest(key, sorted(special))}"


def _minimal(contract: Contract, shared: Mapping[str, Leaf]) -> Iterator[Problem]:
    names = {transform: name for name, transform in redaction.TRANSFORMS.items()}
    fields = {path: (leaf.category, names.get(type(contract.fields[path]), "")) for path, leaf in shared.items()}
    refusals = shipped_minimisation().refusals(contract.kind, contract.purpose, fields)
    for path, refusal in refusals.items():
        yield ("fields", path), f"`{path}` {refusal}"


def _work(contract: Contract, sensitive: frozenset[str]) -> Iterator[Problem]:
    """Only who works for us, for a purpose that is ours, is asked for something."""
    for key, asked, purpose in (
        ("task", contract.task, _OF_TASKS),
        ("campaigns", contract.campaigns, _OF_CAMPAIGNS),
    ):
        if asked is not None and (contract.recipient != "service_provider" or not within(contract.purpose, purpose)):
            text = f"`{key}` is for a service provider with a purpose under `{purpose}`: it is asked to work for us"
            yield (key,), f"{text}, and this is a {contract.recipient} for {contract.purpose}"
    if contract.campaigns is not None and contract.campaigns.segment not in contract.shared_fields:
        segment = contract.campaigns.segment
        near = nearest(segment, contract.shared_fields)
        yield (
            ("campaigns", "segment"),
            f"the provider cannot choose by `{segment}`, which `fields` does not share{near}",
        )
    for name, field in contract.task.reply.items() if contract.task else ():
        if _touches(field.category, sensitive):
            text = f"`{name}` is, or may be, a sensitive fact (`{field.category}`)"
            yield ("task", "reply", name), f"{text}: what a provider infers of that kind is not taken in"

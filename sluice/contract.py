"""Contracts: one YAML file a partner, read by people, refused whole when one word is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from sluice import redaction, vocabulary
from sluice.avro import Json
from sluice.consent import RecipientKind
from sluice.decision import Terms
from sluice.document import DocumentError, Source, Strict, load, nearest
from sluice.keys import MasterKey
from sluice.model import Millis, PartnerId
from sluice.redaction import FieldRule
from sluice.source_schema import Leaf

_KINDS: Mapping[tuple[str, bool | None], RecipientKind] = {
    ("service_provider", None): RecipientKind.PROCESSOR,
    ("group_company", True): RecipientKind.AFFILIATE_SAME_BRAND,
    ("group_company", False): RecipientKind.AFFILIATE_OTHER_BRAND,
    ("corporate_partner", None): RecipientKind.PARTNER,
    ("third_party_sale", None): RecipientKind.THIRD_PARTY_SALE,
}


def _known_purpose(purpose: str) -> str:
    if purpose not in vocabulary.purposes():
        raise ValueError(f"there is no purpose `{purpose}`{nearest(purpose, sorted(vocabulary.purposes()))}")
    return purpose


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone `{name}`; use an IANA name such as Asia/Tokyo") from None
    return name


def _duration(written: object) -> timedelta:
    if isinstance(written, timedelta):
        return written
    try:
        return TypeAdapter(timedelta).validate_python(str(written))
    except ValueError:
        raise ValueError(f"`{written}` is not an ISO 8601 duration such as P3D") from None


def _takes_time(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("a partner needs time to act: the duration has to be above zero")
    return duration


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_takes_time)]
Equal = str | int | bool


_RESERVED = frozenset({"admin", "crm", "node", "registry", "sharing"})
"""Names of our own users; a partner's name is that of its user."""


class Validity(Strict):
    """`from` is included, `until` is not; a date is midnight in `timezone`."""

    start: date | datetime = Field(alias="from")
    until: date | datetime | None = None
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"

    @property
    def start_ms(self) -> Millis:
        return self._millis(self.start)

    @property
    def until_ms(self) -> Millis | None:
        return None if self.until is None else self._millis(self.until)

    def _millis(self, written: date | datetime) -> Millis:
        if not isinstance(written, datetime):
            written = datetime.combine(written, time())
        aware = written if written.tzinfo else written.replace(tzinfo=ZoneInfo(self.timezone))
        return Millis(int(aware.timestamp() * 1000))


class Limits(Strict):
    acknowledge_within: Duration = timedelta(days=3)
    """How long the partner has to carry out a recall and say so."""


class Contract(Strict):
    """What one partner may be given, of whom, for what, until when."""

    partner: Annotated[PartnerId, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    name: Annotated[str, Field(min_length=1)]
    """The name that customers are told."""
    recipient: Literal["service_provider", "group_company", "corporate_partner", "third_party_sale"]
    same_branding: bool | None = None
    """For a group company: whether customers know it under the same brand."""
    purpose: Annotated[str, AfterValidator(_known_purpose)]
    brand: str | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    """Where the data goes, ISO 3166-1."""
    valid: Validity
    source: Literal["crm.customer-updates"] = "crm.customer-updates"
    fields: Annotated[dict[str, FieldRule], Field(min_length=1)]
    """Allow-list by dotted path; what is not here never leaves."""
    where: dict[str, Equal | list[Equal]] = Field(default_factory=dict)
    """Row filter: each path equals its value, or is one of its values."""
    pseudonym_epoch: Annotated[int, Field(ge=1)] = 1
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        if self.partner in _RESERVED:
            raise ValueError(f"`{self.partner}` is the name of another user; a partner cannot have it")
        if not self.shared_fields:
            raise ValueError("`fields` shares nothing: list at least one field that is not dropped")
        if (self.recipient, self.same_branding) not in _KINDS:
            needed = "needs" if self.recipient == "group_company" else "takes no"
            raise ValueError(f"recipient `{self.recipient}` {needed} `same_branding`")
        if self.valid.until_ms is not None and self.valid.until_ms <= self.valid.start_ms:
            raise ValueError("`valid.until` is not after `valid.from`")
        return self

    @property
    def kind(self) -> RecipientKind:
        return _KINDS[self.recipient, self.same_branding]

    @property
    def shared_fields(self) -> Mapping[str, redaction.Rule]:
        return {path: rule for path, rule in self.fields.items() if rule.shared}

    @property
    def required_fields(self) -> frozenset[str]:
        return frozenset(path for path, rule in self.fields.items() if rule.required)


LoadedContracts = dict[PartnerId, tuple[Contract, Source]]
"""Contracts by partner, with where their parts stand in their files."""


@dataclass(frozen=True, slots=True)
class CheckedContract:
    """A contract that fits the source schema; the only form that anything is shared under."""

    contract: Contract
    leaves: Mapping[str, Leaf]
    """The source schema's leaves that the contract shares, in the contract's order."""

    @property
    def partner(self) -> PartnerId:
        return self.contract.partner

    def terms(self) -> Terms:
        return Terms(
            partner=self.partner,
            kind=self.contract.kind,
            purpose=self.contract.purpose,
            brand=self.contract.brand,
            valid_from=self.contract.valid.start_ms,
            valid_until=self.contract.valid.until_ms,
            categories={path: leaf.category for path, leaf in self.leaves.items()},
        )

    def digest(self, master: MasterKey) -> str:
        """Changes exactly when what this contract gives to whom can change: its terms, keys, types and categories."""
        parts = {
            "contract": self.contract.model_dump(mode="json", by_alias=True, exclude={"fields"}),
            "order": list(self.contract.fields),
            "transforms": {path: type(rule).__name__ for path, rule in self.contract.fields.items()},
            "options": {path: rule.model_dump(mode="json") for path, rule in self.contract.fields.items()},
            "types": {path: [leaf.branches, leaf.category] for path, leaf in self.leaves.items()},
            "version": redaction.VERSION,
            "key": master.fingerprint,
        }
        return _digest(parts)


@dataclass(frozen=True, slots=True)
class ContractSet:
    """All contracts in force together, in the order of their partners' names."""

    contracts: tuple[CheckedContract, ...]

    def digest(self, master: MasterKey) -> str:
        return _digest([contract.digest(master) for contract in self.contracts])


def partner_field(path: str) -> str:
    """The name under which a source path stands in partner records: flat, so that a record is a row."""
    return path.replace(".", "_")


def partner_schema(checked: CheckedContract) -> str:
    """The Avro schema of the partner's records: JSON text.

    Every field is nullable with default null, so that narrowing the contract never breaks a reader.
    """
    defined: set[str] = set()
    fields = [
        {
            "name": partner_field(path),
            "type": ["null", *(_defined_once(branch, defined) for branch in rule.output(checked.leaves[path]))],
            "default": None,
            "doc": checked.leaves[path].doc,
            "data_category": checked.leaves[path].category,
        }
        for path, rule in checked.contract.shared_fields.items()
    ]
    name = checked.partner.replace("-", "_")
    return json.dumps({"type": "record", "name": "Customer", "namespace": f"partner.{name}", "fields": fields})


def load_contracts(folder: Path) -> LoadedContracts:
    """Every `*.yaml` and `*.yml` in the folder. Raises DocumentError with all problems of all files."""
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
    if problems:
        raise DocumentError("\n".join(problems))
    return loaded


def check(loaded: LoadedContracts, schema: Mapping[str, Leaf]) -> ContractSet:
    """The contracts against the source schema's leaves. Raises DocumentError with every problem of every contract."""
    problems = [problem for contract, source in loaded.values() for problem in _misfits(contract, source, schema)]
    if problems:
        raise DocumentError("\n".join(problems))
    return ContractSet(
        tuple(
            CheckedContract(contract, {path: schema[path] for path in contract.shared_fields})
            for _, (contract, _) in sorted(loaded.items())
        )
    )


def _misfits(contract: Contract, source: Source, schema: Mapping[str, Leaf]) -> list[str]:
    problems = []
    for path, rule in contract.fields.items():
        if path not in schema:
            problems.append(source.problem(("fields", path), _no_such_field(path, schema)))
        elif refusal := rule.refusal(schema[path]):
            problems.append(source.problem(("fields", path), f"this transform of `{path}` {refusal}"))
    for path, allowed in contract.where.items():
        if path not in schema:
            problems.append(source.problem(("where", path), _no_such_field(path, schema)))
            continue
        values = allowed if isinstance(allowed, list) else [allowed]
        impossible = [value for value in values if not schema[path].can_be(value)]
        problems += [source.problem(("where", path), f"`{path}` can never be {value!r}") for value in impossible]
    names: dict[str, str] = {}
    for path in contract.shared_fields:
        other = names.setdefault(partner_field(path), path)
        if other != path:
            problems.append(source.problem(("fields", path), f"`{path}` and `{other}` would have the same name"))
    return problems


def _no_such_field(path: str, schema: Mapping[str, Leaf]) -> str:
    inner = next((leaf for leaf in schema if leaf.startswith(path + ".")), None)
    if inner is not None:
        return f"`{path}` has fields of its own; list the ones to share, such as `{inner}`"
    return f"the source schema has no field `{path}` that can be shared{nearest(path, schema)}"


def _defined_once(avro: Json, defined: set[str]) -> Json:
    """A named type is spelled out where it stands first and named afterwards, as Avro wants it."""
    if isinstance(avro, list):
        return [_defined_once(branch, defined) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    if "name" in avro:
        if avro["name"] in defined:
            return avro["name"]
        defined.add(avro["name"])
        return avro
    return {key: _defined_once(value, defined) if key in ("items", "values") else value for key, value in avro.items()}


def _digest(parts: object) -> str:
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()

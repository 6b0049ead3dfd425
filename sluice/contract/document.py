"""A contract as it is written: what one partner may be given, of whom, for what, until when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from sluice import redaction, vocabulary
from sluice.consent import RecipientKind
from sluice.contract.quantity import Limits, Validity
from sluice.contract.task import Campaigns, Task
from sluice.document import Strict, nearest
from sluice.law.document import Purpose
from sluice.law.minimisation import Category
from sluice.model import PartnerId
from sluice.redaction import FieldRule
from sluice.row_filter import Written

KINDS: Mapping[tuple[str, bool | None], RecipientKind] = {
    ("service_provider", None): RecipientKind.PROCESSOR,
    ("group_company", True): RecipientKind.AFFILIATE_SAME_BRAND,
    ("group_company", False): RecipientKind.AFFILIATE_OTHER_BRAND,
    ("corporate_partner", None): RecipientKind.PARTNER,
    ("third_party_sale", None): RecipientKind.THIRD_PARTY_SALE,
}
RESERVED = frozenset({"admin", "crm", "node", "providers", "registry", "returns", "sharing"})
"""Names of our own users; a partner's name is that of its user."""
_INSTEAD = {"UK": "GB", "EL": "GR"}
"""Codes that are in use and that ISO 3166-1 has not assigned."""
JURISDICTION = re.compile(r"([A-Z]{2})(-[A-Z0-9]{1,3})?")


def _known_country(code: str) -> str:
    if code not in vocabulary.countries():
        instead = nearest(_INSTEAD.get(code, code.upper()), sorted(vocabulary.countries()))
        raise ValueError(f"there is no country `{code}`; use a code of ISO 3166-1 such as JP{instead}")
    return code


def _known_jurisdiction(code: str) -> str:
    match = JURISDICTION.fullmatch(code)
    if match is None:
        raise ValueError(f"`{code}` is not a code of ISO 3166-1 or 3166-2, such as JP or US-CA")
    _known_country(match[1])
    return code


def _known_obligation(word: str) -> str:
    if word not in vocabulary.obligations():
        raise ValueError(f"there is no obligation `{word}`{nearest(word, vocabulary.obligations())}")
    return word


Country = Annotated[str, AfterValidator(_known_country)]
Obligation = Annotated[str, AfterValidator(_known_obligation)]


class Controller(Strict):
    """Who answers for the data, where that is not the company that runs this installation."""

    name: Annotated[str, Field(min_length=1)]
    """Legal name, as customers are told it."""
    jurisdiction: Annotated[str, AfterValidator(_known_jurisdiction)]
    """Where the controller is established, ISO 3166-1 or 3166-2: its law follows the data."""


class Contract(Strict):
    """What one partner may be given, of whom, for what, until when."""

    partner: Annotated[PartnerId, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    """Short name; names the partner's topics, user and groups."""
    name: Annotated[str, Field(min_length=1)]
    """The name that customers are told."""
    recipient: Literal["service_provider", "group_company", "corporate_partner", "third_party_sale"]
    """What the partner is to us."""
    same_branding: bool | None = None
    """For a group company: whether customers know it under the same brand."""
    controller: Controller | None = None
    """Who answers for the data, if another company does; its law applies beside the customer's."""
    purpose: Purpose
    """What the partner may use the data for: one purpose."""
    brand: str | None = None
    """The brand that the customer knows, and that a consent may be limited to."""
    country: Country
    """Where the data goes, ISO 3166-1."""
    evidence: list[str] = Field(default_factory=list)
    """What the contract's files prove, in the words of the law packs; upper and lower case are the same."""
    alt_basis: list[str] = Field(default_factory=list)
    """Alternatives to a law's usual test that a reviewer has switched on; they count with their evidence alone."""
    special_categories: list[Category] = Field(default_factory=list)
    """Special categories of data (GDPR 9(1)) that the contract lists on purpose."""
    paused: bool = False
    """Nobody and no field is added; what the partner holds is maintained and recalled as ever."""
    valid: Validity
    """From when until when; `from` is included, `until` is not."""
    source: Literal["crm.customer-updates"] = "crm.customer-updates"
    """The input topic."""
    fields: Annotated[dict[str, FieldRule], Field(min_length=1)]
    """Allow-list, field path to transform; what is not here never leaves."""
    where: dict[str, Written] = Field(default_factory=dict)
    """Row filter, field path to condition; all have to hold."""
    pseudonym_epoch: Annotated[int, Field(ge=1)] = 1
    """Number of the pseudonyms' key; another gives every customer another name."""
    limits: Limits = Limits()
    """How fast, and how long."""
    task: Task | None = None
    """What the provider does for us with each customer, and what may come back."""
    campaigns: Campaigns | None = None
    """The provider sends our campaigns to whom it holds."""
    obligations: list[Obligation] = Field(default_factory=list)
    """What the partner has promised."""

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        if self.partner in RESERVED:
            raise ValueError(f"`{self.partner}` is the name of another user; a partner cannot have it")
        if not self.shared_fields:
            raise ValueError("`fields` shares nothing: list at least one field that is not dropped")
        if (self.recipient, self.same_branding) not in KINDS:
            needed = "needs" if self.recipient == "group_company" else "takes no"
            raise ValueError(f"recipient `{self.recipient}` {needed} `same_branding`")
        if self.valid.until_ms is not None and self.valid.until_ms <= self.valid.start_ms:
            raise ValueError("`valid.until` is not after `valid.from`")
        return self

    @property
    def kind(self) -> RecipientKind:
        return KINDS[self.recipient, self.same_branding]

    @property
    def shared_fields(self) -> Mapping[str, redaction.Rule]:
        return {path: rule for path, rule in self.fields.items() if rule.shared}

    @property
    def required_fields(self) -> frozenset[str]:
        return frozenset(path for path, rule in self.fields.items() if rule.required)

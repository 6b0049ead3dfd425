"""The steps of a plan: a closed union. Each has an address that names one thing, and says itself in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from sluice.provisioning import Quota, RegisteredSchema, Right, Topic


@dataclass(frozen=True, slots=True)
class CreateTopic:
    sign: ClassVar[str] = "+"
    noun: ClassVar[str] = "topics"
    topic: Topic
    partitions: int

    @property
    def address(self) -> str:
        return f"topic/{self.topic.name}"

    @property
    def says(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in sorted(self.topic.settings.items()))
        return f"{self.partitions} {'partition' if self.partitions == 1 else 'partitions'}, {settings}"


@dataclass(frozen=True, slots=True)
class ChangeSetting:
    sign: ClassVar[str] = "~"
    noun: ClassVar[str] = "settings"
    topic: str
    name: str
    value: str
    before: str | None

    @property
    def address(self) -> str:
        return f"setting/{self.topic}/{self.name}"

    @property
    def says(self) -> str:
        return f"{'the default' if self.before is None else self.before} -> {self.value}"


@dataclass(frozen=True, slots=True)
class RegisterSchema:
    """And the level that its subject is held to."""

    sign: ClassVar[str] = "+"
    noun: ClassVar[str] = "schemas"
    schema: RegisteredSchema
    versions: int
    """That there are already."""

    @property
    def address(self) -> str:
        return f"schema/{self.schema.subject}"

    @property
    def says(self) -> str:
        return f"version {self.versions + 1}, {self.schema.compatibility}"


@dataclass(frozen=True, slots=True)
class SetCompatibility:
    sign: ClassVar[str] = "~"
    noun: ClassVar[str] = "compatibility levels"
    subject: str
    level: str
    before: str

    @property
    def address(self) -> str:
        return f"compatibility/{self.subject}"

    @property
    def says(self) -> str:
        return f"{self.before or 'none'} -> {self.level}"


@dataclass(frozen=True, slots=True)
class SetPassword:
    sign: ClassVar[str] = "+"
    noun: ClassVar[str] = "users"
    user: str

    @property
    def address(self) -> str:
        return f"user/{self.user}"

    @property
    def says(self) -> str:
        return "may log in with the password in its connection file"


@dataclass(frozen=True, slots=True)
class SetQuota:
    sign: ClassVar[str] = "~"
    noun: ClassVar[str] = "quotas"
    quota: Quota
    before: int | None

    @property
    def address(self) -> str:
        return f"quota/{self.quota.user}"

    @property
    def says(self) -> str:
        before = "no limit" if self.before is None else f"{self.before:,} bytes a second"
        return f"{before} -> {self.quota.bytes_per_second:,} bytes a second from each broker"


@dataclass(frozen=True, slots=True)
class Grant:
    sign: ClassVar[str] = "+"
    noun: ClassVar[str] = "rights"
    right: Right

    @property
    def address(self) -> str:
        return right_address(self.right)

    @property
    def says(self) -> str:
        return right_in_words(self.right)


@dataclass(frozen=True, slots=True)
class RecordSet:
    sign: ClassVar[str] = "~"
    noun: ClassVar[str] = "contract sets"
    changes: Mapping[str, str]
    """Contract file, law pack or other part, and what became of it."""

    @property
    def address(self) -> str:
        return "contract-set"

    @property
    def says(self) -> str:
        return "in force: " + "; ".join(f"{what} {change}" for what, change in self.changes.items())


@dataclass(frozen=True, slots=True)
class RemoveRight:
    sign: ClassVar[str] = "-"
    noun: ClassVar[str] = "rights removed"
    partner: str | None
    right: Right

    @property
    def address(self) -> str:
        return right_address(self.right)

    @property
    def says(self) -> str:
        return right_in_words(self.right)


@dataclass(frozen=True, slots=True)
class RemoveUser:
    sign: ClassVar[str] = "-"
    noun: ClassVar[str] = "passwords removed"
    partner: str | None
    user: str
    mechanism: str
    is_former: bool = False
    """The user has another password, which its connection file names."""

    @property
    def address(self) -> str:
        return f"password/{self.user}/{self.mechanism}"

    @property
    def says(self) -> str:
        return "its former password, which still lets in" if self.is_former else "may no longer log in"


@dataclass(frozen=True, slots=True)
class RemoveQuota:
    sign: ClassVar[str] = "-"
    noun: ClassVar[str] = "quotas removed"
    partner: str | None
    quota: Quota

    @property
    def address(self) -> str:
        return f"quota/{self.quota.user}"

    @property
    def says(self) -> str:
        return f"{self.quota.bytes_per_second:,} bytes a second -> no limit"


@dataclass(frozen=True, slots=True)
class ResetSetting:
    sign: ClassVar[str] = "-"
    noun: ClassVar[str] = "settings reset"
    partner: str | None
    topic: str
    name: str
    value: str

    @property
    def address(self) -> str:
        return f"setting/{self.topic}/{self.name}"

    @property
    def says(self) -> str:
        return f"{self.value} -> the default"


@dataclass(frozen=True, slots=True)
class RemoveTopic:
    sign: ClassVar[str] = "-"
    noun: ClassVar[str] = "topics removed"
    partner: str | None
    topic: str

    @property
    def address(self) -> str:
        return f"topic/{self.topic}"

    @property
    def says(self) -> str:
        return "with everything in it"


@dataclass(frozen=True, slots=True)
class RemoveSchema:
    sign: ClassVar[str] = "-"
    noun: ClassVar[str] = "subjects removed"
    partner: str | None
    subject: str

    @property
    def address(self) -> str:
        return f"schema/{self.subject}"

    @property
    def says(self) -> str:
        return "all versions"


Step: TypeAlias = (
    CreateTopic | ChangeSetting | RegisterSchema | SetCompatibility | SetPassword | SetQuota | Grant | RecordSet
)
"""Makes or mends something that the contracts ask for."""

Removal: TypeAlias = RemoveRight | RemoveUser | RemoveQuota | ResetSetting | RemoveTopic | RemoveSchema
"""Takes away what no contract asks for. Only ever carried out when somebody names it."""


def right_address(right: Right) -> str:
    """`right/hoshi-card/READ/TOPIC/partner.hoshi-card.customers`; a prefix ends with `*`."""
    parts = [right.user, right.operation, right.resource, f"{right.name}{'*' if right.prefixed else ''}"]
    if right.host != "*":
        parts.append(f"from {right.host}")
    if not right.allowed:
        parts.append("forbidden")
    return "/".join(("right", *parts))


def right_in_words(right: Right) -> str:
    may = "may" if right.allowed else "may not"
    where = "" if right.host == "*" else f", from {right.host}"
    what = right.resource.replace("_", " ").lower()
    names = f"whose names begin with {right.name}" if right.prefixed else right.name
    return f"{right.user} {may} {right.operation.replace('_', ' ').lower()} {what}{'s' * right.prefixed} {names}{where}"

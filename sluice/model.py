"""The words that every part speaks: who, what is held, and what came of one customer at one partner."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, NewType, assert_never

import msgspec

CustomerId = NewType("CustomerId", str)
"""The customer's id, unique across sources, as in the key of every input topic."""

PartnerId = NewType("PartnerId", str)
"""A contract's `partner`: names its topics, user and group prefix."""

Pseudonym = NewType("Pseudonym", str)
"""What one partner calls a customer: 22 base64url characters."""

Millis = NewType("Millis", int)
"""Milliseconds since the Unix epoch, UTC: Kafka's own unit of time."""


class Reason(StrEnum):
    """Why a partner may not hold a customer. A closed set: these are metric labels and appear in disclosures.

    By gravity: where several rules refuse, the first of these is told.
    """

    CONTRACT_ENDED = "contract_ended"
    CONTRACT_NOT_IN_FORCE = "contract_not_in_force"
    DECEASED = "deceased"
    PROCESSING_RESTRICTED = "processing_restricted"
    CONSENT_UNREADABLE = "consent_unreadable"
    FORBIDDEN_BY_LAW = "forbidden_by_law"
    OBJECTED = "objected"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    OPTED_OUT = "opted_out"
    LIMITED = "limited"
    TRANSFER_NOT_COVERED = "transfer_not_covered"
    GUARDIAN_CONSENT_MISSING = "guardian_consent_missing"
    NOT_ENTITLED_TO_CONSENT = "not_entitled_to_consent"
    EVIDENCE_MISSING = "evidence_missing"
    GRANT_NOT_EXPRESS = "grant_not_express"
    GRANT_NOT_YET_VALID = "grant_not_yet_valid"
    GRANT_EXPIRED = "grant_expired"
    GRANT_INVALIDATED = "grant_invalidated"
    UNANSWERED = "unanswered"
    NO_MATCHING_GRANT = "no_matching_grant"
    NO_CONSENT_RECORD = "no_consent_record"
    NOTICE_MISSING = "notice_missing"
    NO_PROFILE = "no_profile"
    DELETED_AT_SOURCE = "deleted_at_source"
    PROFILE_UNREADABLE = "profile_unreadable"
    PROFILE_NOT_READ_YET = "profile_not_read_yet"
    WAITING_FOR_UPDATES = "waiting_for_updates"
    OUTSIDE_ROW_FILTER = "outside_row_filter"
    RETENTION_ENDED = "retention_ended"
    REQUIRED_FIELD_MISSING = "required_field_missing"
    CONTRACT_PAUSED = "contract_paused"
    PSEUDONYM_REPLACED = "pseudonym_replaced"


STILL_RESTRICTED: Final = "still_restricted"
"""The reason in a disclosure of what is kept unused on another basis than before, of which the partner is not told."""
RESTRICTED: Final = frozenset({Reason.PROCESSING_RESTRICTED.value, STILL_RESTRICTED})
"""Reasons in disclosures of what is held and not used."""


class Cause(StrEnum):
    """Why a record was rejected. A closed set: these are metric labels and stand in the rejected topic."""

    NOT_FRAMED = "not_framed"
    SCHEMA_UNKNOWN = "schema_unknown"
    UNDECODABLE = "undecodable"
    KEY_UNREADABLE = "key_unreadable"
    KEY_CONTRADICTS_VALUE = "key_contradicts_value"
    NOT_UNDERSTOOD = "not_understood"
    DATED_IN_THE_FUTURE = "dated_in_the_future"
    MISPLACED = "misplaced"
    REQUIRED_FIELD_NOT_IN_SCHEMA = "required_field_not_in_schema"
    UNENCODABLE = "unencodable"
    RECORD_TOO_LARGE = "record_too_large"


class Pointer(NamedTuple):
    """Where a record stands; all that is ever told of a rejected one."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


class Held(msgspec.Struct, frozen=True, array_like=True):
    """What one partner holds of one customer: the last disclosure of it. No values."""

    pseudonym: Pseudonym
    key_epoch: int
    contract: str
    """Digest of the contract that it was shared under, hex."""
    fields: tuple[str, ...]
    """Dotted source paths, in the contract's order."""
    digest: bytes
    """Keyed BLAKE2b-128 of the framed record."""
    consents: tuple[str, ...]
    """Ids of the consent records relied on, sorted."""
    rules: tuple[str, ...]
    """Ids of the law packs' rules that were passed, sorted."""
    expires_at: Millis | None
    """When the basis ends, if nothing happens before."""
    rectified_at: Millis | None = None
    """When the source had last rectified the customer, of what was told to the partner."""
    restricted: bool = False
    """Kept and not used (GDPR 18)."""


class Shared(msgspec.Struct, frozen=True):
    """The partner gets a new record."""

    held: Held
    record: bytes
    replaces: Held | None = None
    """What is held under another pseudonym, and recalled: the key has changed."""
    rectifies: bool = False
    """What was held was wrong, and the partner is told so (GDPR 16, 19)."""


class Recalled(msgspec.Struct, frozen=True):
    """What the partner held may no longer be held: a tombstone and a control message."""

    held: Held
    reason: Reason


class Restricted(msgspec.Struct, frozen=True):
    """The partner keeps what it holds and may not use it: a control message, and no record (GDPR 18, 19)."""

    held: Held


class Unchanged(msgspec.Struct, frozen=True):
    """The partner holds what it may hold. `renewed` is set when the same bytes stand on another basis or expiry."""

    renewed: Held | None = None


class Withheld(msgspec.Struct, frozen=True):
    """The partner holds nothing and may not be given anything."""

    reason: Reason


class Rejected(msgspec.Struct, frozen=True):
    """A record that should be shared cannot be made or delivered; what was held is recalled."""

    cause: Cause
    recalls: Held | None = None


Outcome = Shared | Recalled | Restricted | Unchanged | Withheld | Rejected
"""What came of one customer at one partner: exactly one of these."""


def label(outcome: Outcome) -> tuple[str, str]:
    """The outcome's name and reason, as metric labels."""
    match outcome:
        case Shared():
            return "shared", ""
        case Recalled(reason=reason):
            return "recalled", reason.value
        case Restricted():
            return "restricted", ""
        case Unchanged():
            return "unchanged", ""
        case Withheld(reason=reason):
            return "withheld", reason.value
        case Rejected(cause=cause):
            return "rejected", cause.value
        case _:
            assert_never(outcome)

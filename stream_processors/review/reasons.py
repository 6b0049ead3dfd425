"""For each reason why a partner may not hold a customer, what it means, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.model import Reason

MEANINGS: Mapping[Reason, str] = {
    Reason.CONTRACT_ENDED: "The partner has no contract any more.",
    Reason.CONTRACT_NOT_IN_FORCE: "The contract's time has not begun, or is over.",
    Reason.DECEASED: "The source says that the customer has died.",
    Reason.PROCESSING_RESTRICTED: (
        "Processing is restricted (GDPR 18): nothing new is shared, and what is held is kept unused, unless the "
        "contract has changed."
    ),
    Reason.CONSENT_UNREADABLE: (
        "A consent event of the customer cannot be used, and counts as a no until an operator has looked into it."
    ),
    Reason.FORBIDDEN_BY_LAW: "A law forbids it, and nothing in the contract lifts that.",
    Reason.OBJECTED: "The customer has objected.",
    Reason.WITHDRAWN: "The customer has withdrawn or revoked consent.",
    Reason.REFUSED: "The customer has refused.",
    Reason.OPTED_OUT: "The customer has opted out.",
    Reason.LIMITED: "The customer has limited the use of sensitive data.",
    Reason.TRANSFER_NOT_COVERED: (
        "The data would go to a country for which the law wants an instrument, and the contract proves none."
    ),
    Reason.GUARDIAN_CONSENT_MISSING: "The customer is a child, and no guardian's consent is in force.",
    Reason.NOT_ENTITLED_TO_CONSENT: "Who consented may not do so at the customer's age: now, or when it was given.",
    Reason.EVIDENCE_MISSING: "A rule requires evidence that the contract does not list.",
    Reason.GRANT_NOT_EXPRESS: (
        "There is a consent, and not in the form that a rule asks for: by opt-in, explicit, or on another basis."
    ),
    Reason.GRANT_NOT_YET_VALID: "The customer's consent begins later.",
    Reason.GRANT_EXPIRED: "The customer's consent has expired.",
    Reason.GRANT_INVALIDATED: "The customer's consent was declared invalid.",
    Reason.UNANSWERED: "The customer was asked, and what the answer was is not known.",
    Reason.NO_MATCHING_GRANT: (
        "The customer has said something, and nothing that allows this recipient, purpose and data."
    ),
    Reason.NO_CONSENT_RECORD: "The customer has to be asked, and has said nothing.",
    Reason.NOTICE_MISSING: (
        "A rule asks for a notice, and neither contract nor consent proves one, or none that names the recipient."
    ),
    Reason.NO_PROFILE: "There is no profile of the customer: none came, or its deletion was too long ago.",
    Reason.DELETED_AT_SOURCE: "The source has deleted the customer.",
    Reason.PROFILE_UNREADABLE: "The newest update of the customer cannot be read.",
    Reason.PROFILE_NOT_READ_YET: (
        "The profile or a consent event cannot be read for now: the registry is away, or there was a gap or a rebuild."
    ),
    Reason.WAITING_FOR_UPDATES: (
        "Nothing is added before the updates are read to where they ended, or while widening is stopped."
    ),
    Reason.OUTSIDE_ROW_FILTER: "The contract's row filter does not admit the customer.",
    Reason.RETENTION_ENDED: "The contract's retention is over, counted from the source's last change.",
    Reason.REQUIRED_FIELD_MISSING: "A field that the contract requires has no value, or may not be shared.",
    Reason.CONTRACT_PAUSED: "The partner is paused: nobody is added.",
    Reason.PSEUDONYM_REPLACED: "The customer is shared again under another pseudonym: the key has changed.",
}


def meaning(reason: str | None) -> str | None:
    """None for what is no such reason: the cause of a reject."""
    return MEANINGS[Reason(reason)] if reason in {known.value for known in Reason} else None

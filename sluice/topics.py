"""Names of topics and of the subjects that their schemas stand under."""

from __future__ import annotations

from sluice.model import PartnerId

CUSTOMER_UPDATES = "crm.customer-updates"
CONSENT_EVENTS = "crm.consent-events"
DISCLOSURES = "sluice.disclosures"
REJECTED = "sluice.rejected"
REDRIVES = "sluice.redrives"
CONTRACT_SETS = "sluice.contract-sets"
"""One partition: the newest record is the set in force."""
ACCEPTED_RETURNS = "sluice.accepted-returns"
REFUSED_RETURNS = "sluice.refused-returns"
PAUSES = "sluice.pauses"
"""One partition, by partner: who gets nothing new until its recalls are acknowledged."""

ENRICHMENTS = "crm.enrichments"
REFUSED_REPLIES = "sluice.refused-replies"

OWN = (CUSTOMER_UPDATES, CONSENT_EVENTS, DISCLOSURES, REJECTED)
"""Topics of every installation, one partition number for each customer, whose loss must not go unnoticed."""

OWN_SCHEMAS = {
    CUSTOMER_UPDATES: "customer_profile",
    CONSENT_EVENTS: "consent_event",
    DISCLOSURES: "disclosure",
    REJECTED: "rejected",
    ACCEPTED_RETURNS: "accepted_return",
    REFUSED_RETURNS: "rejected",
    ENRICHMENTS: "enrichment",
    REFUSED_REPLIES: "rejected",
}
"""Which of our schemas each topic carries; CRMs may register another for their updates."""


def customers(partner: PartnerId) -> str:
    return f"partner.{partner}.customers"


def control(partner: PartnerId) -> str:
    return f"partner.{partner}.control"


def returns(partner: PartnerId) -> str:
    return f"partner.{partner}.returns"


def requests(provider: PartnerId) -> str:
    return f"partner.{provider}.requests"


def replies(provider: PartnerId) -> str:
    return f"partner.{provider}.replies"


def partner_group(partner: PartnerId, name: str) -> str:
    """A consumer group of a partner: it may use any whose name begins like this."""
    return f"partner.{partner}.{name}"


def subject(topic: str) -> str:
    return f"{topic}-value"

"""Why a partner does not hold a customer, why a record is rejected, a return refused, a reply not taken in."""

from __future__ import annotations

from docs.site.markdown import code, items, page, prose, table
from sluice.model import STILL_RESTRICTED, Cause, Reason
from stream_processors.providers.reply import RefusedFor as ReplyRefused
from stream_processors.redrive.advice import ADVICE
from stream_processors.returns.partner_return import RefusedFor as ReturnRefused
from stream_processors.review.reasons import MEANINGS


def reasons() -> str:
    """The page."""
    return page(
        "# Reasons and causes",
        "## Why a partner may not hold a customer",
        prose(
            "Metrics have them as the label `reason`, and disclosures and `sluice explain` tell them. By gravity: "
            "where several rules refuse, the first of these is told."
        ),
        table(("reason", "meaning"), [(code(reason), prose(MEANINGS[reason])) for reason in Reason]),
        f"Disclosures tell two more things as a reason: the cause of a reject, where one recalled somebody, and "
        f"{code(STILL_RESTRICTED)}, where what is kept unused is kept on another basis than before.",
        "How it is decided: [deciding](../docs/deciding.md).",
        "## Why a record is rejected",
        prose("Metrics have them as the label `cause`, and they stand in `sluice.rejected`."),
        table(("cause", "what it is, and what to do"), [(code(cause), prose(ADVICE[cause])) for cause in Cause]),
        "What is done about them: [rejected inputs](../docs/rejected.md).",
        "## Why a partner's return is refused",
        items(map(code, ReturnRefused)),
        "Which each is: [what becomes of a return](../docs/returns.md#what-becomes-of-a-return).",
        "## Why a service provider's reply is not taken in",
        items(map(code, ReplyRefused)),
        "Which each is: [what becomes of a reply](../docs/providers.md#what-becomes-of-a-reply).",
    )

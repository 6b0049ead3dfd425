"""How partners stand with their recalls at a time, and who has to be paused for it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.model import Millis, PartnerId
from stream_processors.returns.book import Book


@dataclass(slots=True)
class Account:
    """One partner's recalls. Every recall that was disclosed is either acknowledged or open."""

    recalls: int = 0
    acknowledged: int = 0
    due_soon: int = 0
    """Of those open and in time: most of the term is over."""
    overdue: int = 0
    """Of those open: the deadline has passed."""
    late: int = 0
    """Those overdue, and those acknowledged after their deadline."""
    oldest_deadline: Millis | None = None
    """Of those open."""

    @property
    def open(self) -> int:
        return self.recalls - self.acknowledged

    @property
    def in_time(self) -> int:
        """Acknowledged by their deadline."""
        return self.acknowledged - (self.late - self.overdue)


def accounts(book: Book, now: Millis, warn_after: float) -> dict[PartnerId, Account]:
    """By partner, of all that were ever in force or were sent a recall. `warn_after`: share of a recall's term."""
    found: defaultdict[PartnerId, Account] = defaultdict(Account)
    for partner in book.conditions:
        found[partner] = Account()
    for key, recall in book.recalls.items():
        account = found[recall.partner]
        account.recalls += 1
        account.acknowledged += 1
        account.late += book.acknowledged.get(key, now) >= book.deadline(recall)
    for recall in book.open_recalls():
        account, deadline = found[recall.partner], book.deadline(recall)
        account.acknowledged -= 1
        if deadline <= now:
            account.overdue += 1
        elif now - recall.issued_at >= warn_after * book.term_ms(recall):
            account.due_soon += 1
        if account.oldest_deadline is None or deadline < account.oldest_deadline:
            account.oldest_deadline = deadline
    return dict(sorted(found.items()))


def pauses(book: Book, standing: Mapping[PartnerId, Account], now: Millis) -> dict[PartnerId, Millis | None]:
    """Whose pause begins now, or ends (None). Said of nobody twice.

    A partner is paused while a recall of it is overdue, if its contract says so.
    """
    changes: dict[PartnerId, Millis | None] = {}
    for partner, account in standing.items():
        conditions = book.conditions.get(partner)
        wanted = account.overdue > 0 and conditions is not None and conditions.pause_when_overdue
        if wanted != (partner in book.paused):
            changes[partner] = now if wanted else None
    return changes

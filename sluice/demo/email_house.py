"""The story of an e-mail house: it is told a campaign and a segment; to whom is for what it may hold to say."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack

from sluice import topics
from sluice.demo import people
from sluice.demo.stage import Stage
from sluice.model import PartnerId

_PEOPLE = 200
_AGREED = 150
_HOUSE = PartnerId("letterbird")
_SEGMENT = "frequent"
_DAY_MS = 24 * 60 * 60 * 1000


def tell(stage: Stage) -> None:
    with ExitStack() as running:
        stage.set_up(running, "returns")
        now = time.time_ns() // 1_000_000
        profiles = list(people.profiles(_PEOPLE))
        agreed = [str(one["customer_id"]) for one in profiles[:_AGREED]]
        answers = {str(one["customer_id"]): "REFUSED" for one in profiles} | dict.fromkeys(agreed, "GIVEN")
        stage.step(f"The CRM publishes {_PEOPLE} customers; {_AGREED} of them agreed to e-mail, the others said no")
        said = (people.answer(one, stage.contract, what, now - _DAY_MS) for one, what in answers.items())
        stage.publish("consents", said)
        stage.publish("customers", profiles)
        stage.until(lambda: len(_held(stage)) == _AGREED, "who agreed is held")
        stage.say(f"the house holds {_AGREED}; {len(_of_segment(stage))} of them are of the segment {_SEGMENT}")

        stage.step("A campaign is asked for: a name and a segment, and no customer")
        before = _of_segment(stage)
        _send(stage, "spring-2027")
        told = stage.until(lambda: _settled(stage), "its returns were taken in")
        stage.step("What came back: sluice.accepted-returns; an unsubscribe is a withdrawal, and a recall")
        for kind, count in told.most_common():
            stage.say(f"{count:>4}  {kind}")
        left = _AGREED - told["UNSUBSCRIBED"]
        stage.until(lambda: len(_held(stage)) == left, "who unsubscribed was recalled")

        stage.step("Ten more withdraw at the preference centre, then the next campaign is asked for")
        ten = [one for one in agreed if stage.pseudonym(one) in _held(stage)][:10]
        stage.publish("consents", (people.answer(one, stage.contract, "WITHDRAWN", now) for one in ten))
        stage.until(lambda: len(_held(stage)) == left - len(ten), "the ten were recalled")
        after = _of_segment(stage)
        stage.say(f"of the segment it holds {len(after)} now: {len(before - after)} are suppressed by not being there")
        _send(stage, "summer-2027")


def _send(stage: Stage, campaign: str) -> None:
    stage.run("request-campaign", _HOUSE, campaign, "--segment", _SEGMENT)
    stage.run("simulate-provider", "email", _HOUSE)


def _held(stage: Stage) -> dict[str, people.Profile]:
    return stage.folded(topics.customers(_HOUSE))


def _of_segment(stage: Stage) -> set[str]:
    return {name for name, record in _held(stage).items() if _SEGMENT in record["segments"]}


def _settled(stage: Stage) -> Counter[str] | None:
    """How many returns of each type were accepted, once all were."""
    said = len(stage.records(topics.returns(_HOUSE)))
    accepted = Counter(one["type"] for one in stage.records(topics.ACCEPTED_RETURNS))
    return accepted if accepted.total() == said > 0 else None

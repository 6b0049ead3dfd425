"""The story of an address-hygiene house: what it is asked, what comes back of it, and what does not get in."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from rich.table import Table

from sluice import topics
from sluice.demo import people
from sluice.demo.stage import Stage
from sluice.model import PartnerId

_PEOPLE = 200
_SHOWN = 3
_HOUSE = PartnerId("adresso")
_WORK = ("simulate-provider", "hygiene", _HOUSE)
_SLOW = "15"
"""Seconds that it takes to answer: longer than a recall takes on a machine that does other things."""


def tell(stage: Stage) -> None:
    with ExitStack() as running:
        stage.set_up(running, "providers")
        profiles = list(people.profiles(_PEOPLE))
        stage.step("The CRM publishes its customers; the house is asked about each whom it may hold")
        stage.publish("customers", profiles)
        requests = topics.requests(_HOUSE)
        stage.until(lambda: len(stage.as_provider(requests)) == _PEOPLE, "all were asked for")
        stage.say(f"one of {_PEOPLE} requests, all that it says: {stage.as_provider(requests)[0]}")

        stage.step("The house works, with its own credentials; some of what it says is wrong")
        stage.run(*_WORK, "--garbage", "0.06", "--silence", "0.03")
        _show_what_came_back(stage, profiles)
        _show_a_deletion_in_flight(stage, profiles)
        _show_refusals(stage)


def _show_what_came_back(stage: Stage, profiles: list[people.Profile]) -> None:
    replies = stage.count(topics.replies(_HOUSE))
    stage.until(lambda: _taken_in(stage) + sum(_causes(stage).values()) >= replies, "all replies were decided")
    stage.step(f"What came back: crm.enrichments, {_taken_in(stage)} customers, beside what the CRM has")
    table = Table("customer", "the CRM's street", "the house's", "post arrives")
    enrichments = stage.folded(topics.ENRICHMENTS)
    for profile in [one for one in profiles if one["customer_id"] in enrichments][:_SHOWN]:
        found = {one["field"]: one for one in enrichments[profile["customer_id"]]["appended"]}
        street, deliverable = found["street"], found["deliverability"]
        table.add_row(profile["customer_id"], profile["address"]["street"], street["value"], deliverable["value"])
    stage.console.print(table)
    stage.say(f"each with where it is from and what it may be used for: {street}")


def _show_a_deletion_in_flight(stage: Stage, profiles: list[people.Profile]) -> None:
    enrichments = stage.folded(topics.ENRICHMENTS)
    chosen = next(one for one in profiles if one["customer_id"] in enrichments)
    stage.step(f"{chosen['customer_id']} moves; while the house looks into it, the CRM deletes the customer")
    moved = {**chosen, "address": {**chosen["address"], "street": "1 new street"}}
    stage.publish("customers", [moved])
    stage.until(lambda: len(stage.as_provider(topics.requests(_HOUSE))) == _PEOPLE + 1, "it was asked again")
    with stage.meanwhile(*_WORK, "--latency", _SLOW):
        stage.publish("customers", [{"customer_id": chosen["customer_id"], "$deleted": True}])
    stage.until(lambda: "withdrawn" in _causes(stage), "the reply was discarded")
    gone = chosen["customer_id"] not in stage.folded(topics.ENRICHMENTS)
    stage.say(f"the reply was discarded; values of it in crm.enrichments: {'none' if gone else 'SOME'}")
    for message in stage.as_provider(topics.control(_HOUSE)):
        stage.say(f"the house reads {message['type']}: {message['action']}")


def _show_refusals(stage: Stage) -> None:
    stage.step("What was not taken in, and why: sluice.refused-replies, pointers without values")
    for cause, count in _causes(stage).most_common():
        stage.say(f"{count:>4}  {cause}")


def _taken_in(stage: Stage) -> int:
    return len(stage.folded(topics.ENRICHMENTS))


def _causes(stage: Stage) -> Counter[str]:
    return Counter(one["cause"] for one in stage.folded(topics.REFUSED_REPLIES).values())

"""By which name the broker knows who logs in with a certificate: `CN=<user>`, unless it makes another of that.

It does so by `ssl.principal.mapping.rules` (KIP 371): the first rule that fits the whole subject gives the name, and a
subject that none fits has no name and is refused. A listener may have rules of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from confluent_kafka.admin import ConfigResource, ResourceType

from sluice.kafka.admin import TIMEOUT_SECONDS
from sluice.kafka.clients import Broker, translated

_RULES = "ssl.principal.mapping.rules"
_RULE = re.compile(r"\s*(?:DEFAULT|RULE:((?:\\.|[^\\/])*)/((?:\\.|[^\\/])*)/([LU]?))\s*(?:,|$)")


def names(client: Broker, users: Collection[str]) -> dict[str, str]:
    """The broker's name of each of these users. Nothing is asked where there is none. Raises KafkaTrouble."""
    if not users:
        return {}
    rules = _rules(client)
    return {user: name(user, rules) for user in users}


def _rules(client: Broker) -> list[str]:
    """As one broker has them: all of a cluster are set up alike."""
    with translated("read how the broker names who has a certificate"):
        cluster = client.describe_cluster(request_timeout=TIMEOUT_SECONDS).result()
        asked = ConfigResource(ResourceType.BROKER, str(cluster.nodes[0].id))
        settings = client.describe_configs([asked], request_timeout=TIMEOUT_SECONDS)[asked].result()
    return [entry.value for name, entry in settings.items() if f".{name}".endswith(f".{_RULES}") and entry.value]


def name(user: str, rules: Collection[str]) -> str:
    """Its own, if a listener has rules that make it of the subject: that is where its certificate is meant for."""
    found = {made for each in rules if (made := _mapped(f"CN={user}", each)) is not None}
    return user if user in found else min(found, default=user)


def _mapped(subject: str, rules: str) -> str | None:
    """None: the subject has no name, or the rule is one that we cannot read."""
    for rule in _RULE.finditer(rules):
        pattern, replacement, case = rule.groups()
        if pattern is None:
            return subject
        try:
            fits = re.fullmatch(pattern, subject)
            made = fits and re.sub(r"\$(\d)", lambda group, of=fits: of[int(group[1])] or "", replacement)
        except (re.error, IndexError):
            return None
        if made is not None:
            return {"L": made.lower(), "U": made.upper()}.get(case, made)
    return None

"""The consent objects that Segment, RudderStack and OneTrust put on events: yes, no, or no readable answer.

Each function takes the tool's object and the ids that are asked for, and gives an answer to each: True, False, or None
for one that is missing or malformed. An object that is malformed as a whole raises SignalUnreadable.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from producers.signals.unreadable import LONGEST, SignalUnreadable

Answers: TypeAlias = Mapping[str, bool | None]

_STRATEGIES = ("and", "or", None)
_GROUPS = re.compile(r"[\w.-]+:[01](,[\w.-]+:[01])*,?", re.ASCII)
_ACTIVE_GROUPS = re.compile(r",?([\w.-]+,)*[\w.-]*", re.ASCII)
_COOKIE_FIELD = "groups="
_GPC_FIELD: Final = "isGpcEnabled=1"


def segment(value: object, ids: Collection[str]) -> Answers:
    """`context.consent.categoryPreferences`: an object of categories and booleans.

    Takes the event, its context or the consent object. Source: Segment, Consent Management, "Consent object".
    """
    preferences = _object(_inside(value, "context", "consent").get("categoryPreferences"))
    return {name: _boolean(preferences.get(name)) for name in ids}


def rudderstack(value: object, ids: Collection[str]) -> Answers:
    """`context.consentManagement`: ids that are allowed and ids that are denied; one in both has no answer.

    The resolution strategy says how many of a destination's categories must be allowed; here each is an answer of its
    own and one no is enough. Source: RudderStack, Consent Management, "Add the Consent Object to Event Payloads".
    """
    found = _inside(value, "context", "consentManagement")
    if "allowedConsentIds" not in found or found.get("resolutionStrategy") not in _STRATEGIES:
        raise SignalUnreadable("it is no consent object of RudderStack")
    return _of_two_lists(_array(found["allowedConsentIds"]), _array(found.get("deniedConsentIds", [])), ids)


def onetrust(value: object, ids: Collection[str]) -> Answers:
    """The groups of OneTrust, however they come. Source: OneTrust, "OneTrust Cookies" (OptanonConsent).

    a. `C0001:1,C0002:0`, alone or as `groups` in a whole OptanonConsent cookie.
    b. `,C0001,C0003,`, as in OnetrustActiveGroups: the active ones. What is not in it was not asked, for all we know.
    c. `consentedGroups` and `deniedGroups`: arrays, or texts as in (b).
    """
    if isinstance(value, Mapping):
        if "consentedGroups" not in value:
            raise SignalUnreadable("it is no consent object of OneTrust")
        return _of_two_lists(_active(value["consentedGroups"]), _active(value.get("deniedGroups", [])), ids)
    text = _cookie_groups(value)
    if _GROUPS.fullmatch(text):
        return _of_groups(text, ids)
    return _of_two_lists(_active(text), frozenset(), ids)


def onetrust_saw_gpc(value: object) -> bool:
    """Whether an OptanonConsent cookie says that the browser sent Global Privacy Control."""
    return isinstance(value, str) and _GPC_FIELD in value.split("&")


def _inside(value: object, *path: str) -> Mapping[str, Any]:
    """The object at the end of the path; how much of the path was left off in front does not matter."""
    found = _object(value)
    for name in path:
        if name in found:
            found = _object(found[name])
    return found


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SignalUnreadable("an object that it has to have is missing, or is none")
    return value


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _of_two_lists(yes: frozenset[str], no: frozenset[str], ids: Collection[str]) -> Answers:
    return {name: None if (name in yes) is (name in no) else name in yes for name in ids}


def _array(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise SignalUnreadable("a list of categories is no array of texts")
    return frozenset(value)


def _active(value: object) -> frozenset[str]:
    if not isinstance(value, str):
        return _array(value)
    if not _ACTIVE_GROUPS.fullmatch(value):
        raise SignalUnreadable("its groups are written in no way that is known")
    return frozenset(value.split(",")) - {""}


def _cookie_groups(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
        raise SignalUnreadable("it is no text, empty or too long")
    if "=" not in value:
        return unquote(value)
    for part in value.split("&"):
        if part.startswith(_COOKIE_FIELD):
            return unquote(part.removeprefix(_COOKIE_FIELD))
    raise SignalUnreadable("the cookie has no groups")


def _of_groups(text: str, ids: Collection[str]) -> Answers:
    pairs = list(_pairs(text))
    found = {name: {given for other, given in pairs if other == name} for name in ids}
    return {name: given.pop() if len(given) == 1 else None for name, given in found.items()}


def _pairs(text: str) -> Iterator[tuple[str, bool]]:
    for group in text.rstrip(",").split(","):
        name, _, given = group.rpartition(":")
        yield name, given == "1"

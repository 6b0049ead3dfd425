"""The checks themselves, in the order in which one needs another. None changes anything."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from sluice import topics
from sluice.contract import check, load_contracts
from sluice.errors import SluiceError
from sluice.installation import plan
from sluice.kafka.admin import answers, client_ids, topic_settings
from sluice.kafka.clients import admin_client
from sluice.keys import load_master_key
from sluice.planning.plan import summary
from sluice.registry import Registry
from sluice.settings import Settings
from sluice.source_schema import leaves
from stream_processors.doctor.verdict import State, Verdict

USERS = ("admin", "sharing", "returns", "providers")
"""Whose connection files have to work here: ours. CRMs and partners keep theirs."""

SKEW_SECONDS = 5.0
"""Of a machine without NTP; HTTP tells whole seconds."""
FREE_SHARE = 0.1
_ANSWER_SECONDS = 5.0
_DAY_MS = 24 * 60 * 60 * 1000

Found = Iterator[Verdict]


def every(settings: Settings) -> Found:
    """Each as soon as it is known."""
    yield _told(_key, settings)
    yield _told(_disk, settings)
    reachable = True
    for user in USERS:
        verdict = _user(settings, user)
        reachable &= verdict.state is State.FINE
        yield verdict
    registry = _told(_registry, settings)
    yield registry
    yield _told(_clock, settings)
    is_there = reachable and registry.state is State.FINE
    for name, look in _ON_BOTH.items():
        yield _told(look, settings) if is_there else Verdict(name, State.UNSEEN, "Broker and registry come first.")


def _told(look: Callable[[Settings], Verdict], settings: Settings) -> Verdict:
    """What stops a check is what it found."""
    try:
        return look(settings)
    except SluiceError as error:
        return Verdict(look.__name__.removeprefix("_"), State.TROUBLE, " ".join(str(error).split()))


def _key(settings: Settings) -> Verdict:
    load_master_key(settings.master_key)
    return Verdict("key", State.FINE, "The master key can be had.")


def _contracts(settings: Settings) -> Verdict:
    loaded = load_contracts(settings.contracts)
    with closing(Registry(settings.registry())) as registry:
        _, source = registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
    found = check(loaded, leaves(source), settings.load_law())
    partners = ", ".join(sorted(contract.partner for contract in found.contracts))
    return Verdict("contracts", State.FINE, f"The contracts can be kept: {partners or 'there are none'}.")


def _disk(settings: Settings) -> Verdict:
    folder = next(path for path in (settings.sharing.state, *settings.sharing.state.parents) if path.exists())
    usage = shutil.disk_usage(folder)
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} are free where the stores lie"
    if usage.free < FREE_SHARE * usage.total:
        return Verdict("disk", State.TROUBLE, f"Only {free} ({folder}): make room, or name another `sharing.state`.")
    return Verdict("disk", State.FINE, f"{free}.")


def _user(settings: Settings, user: str) -> Verdict:
    name = f"user {user}"
    try:
        client = settings.client(user)
    except SluiceError as error:
        return Verdict(name, State.TROUBLE, str(error))
    if answers(admin_client(client), _ANSWER_SECONDS):
        return Verdict(name, State.FINE, f"The broker at {client.get('bootstrap.servers')} lets {user} in.")
    return Verdict(
        name,
        State.TROUBLE,
        f"The broker at {client.get('bootstrap.servers')} does not answer {user}: start it, or mend {user}.properties "
        f"(`sluice apply --rotate {user}` makes another password).",
    )


def _registry(settings: Settings) -> Verdict:
    with closing(Registry(settings.registry())) as registry:
        registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
    return Verdict("registry", State.FINE, f"The registry at {settings.registry()['url']} has the customers' schema.")


def _clock(settings: Settings) -> Verdict:
    """Beside the registry's, which says its time with every answer (RFC 9110, 6.6.1)."""
    url = settings.registry()["url"]
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - from the settings
            said = answer.headers.get("Date")
    except HTTPError as error:
        said = error.headers.get("Date")
    except (URLError, OSError):
        said = None
    if said is None:
        return Verdict(
            "clock", State.UNSEEN, "The registry does not say its time, so there is nothing to compare with."
        )
    off = (datetime.now(UTC) - parsedate_to_datetime(said)).total_seconds()
    if abs(off) > SKEW_SECONDS:
        way = "ahead of" if off > 0 else "behind"
        return Verdict(
            "clock",
            State.TROUBLE,
            f"This machine's clock is {abs(off):.0f} s {way} the registry's: let NTP set both; consents count by time.",
        )
    return Verdict("clock", State.FINE, "This machine's clock and the registry's agree.")


def _plan(settings: Settings) -> Verdict:
    """Topics and their settings, partitions, users, rights neither too few nor too many, quotas, schemas, the set."""
    found = plan(settings).plan
    if found.is_empty:
        return Verdict(
            "plan", State.FINE, "Topics, rights, quotas, schemas and the set in force are as the contracts ask."
        )
    said = [f"{finding.address}: {finding.says}" for finding in found.findings]
    if found.steps:
        said.append(f"missing or other than asked for: {summary(found.steps)} (`sluice apply` mends it)")
    if found.left_over:
        said.append(f"left over: {summary(found.left_over)} (`sluice apply --destroy ADDRESS` removes it)")
    return Verdict("plan", State.TROUBLE, f"`sluice plan` shows what differs. {'; '.join(said)}.")


def _store(settings: Settings) -> Verdict:
    """Whoever was away for longer than tombstones are kept may have missed a deletion, and reads everything anew."""
    if not settings.sharing.state.exists():
        return Verdict("store", State.FINE, "There is no store yet: the processor makes it from the logs.")
    written = max((path.stat().st_mtime for path in _files(settings.sharing.state)), default=time.time())
    days = (time.time() - written) / 86_400
    admin = admin_client(settings.client("admin"))
    kept = int(topic_settings(admin, [topics.CUSTOMER_UPDATES])[topics.CUSTOMER_UPDATES]["delete.retention.ms"])
    if days * _DAY_MS > kept:
        return Verdict(
            "store",
            State.TROUBLE,
            f"The store was last written {days:.0f} days ago, and deletions are kept for {kept // _DAY_MS}: delete "
            f"{settings.sharing.state} while the processor is stopped; it is made again from the logs.",
        )
    return Verdict("store", State.FINE, f"The store was last written {_ago(time.time() - written)} ago.")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 3600:.1f} h"


def _processes(settings: Settings) -> Verdict:
    groups = {"sharing": settings.sharing.group, "returns": settings.returns.group}
    admin = admin_client(settings.client("admin"))
    away = [name for name, group in groups.items() if not client_ids(admin, group)]
    if away:
        commands = " and ".join(f"`sluice run {name}`" for name in away)
        return Verdict("processes", State.TROUBLE, f"Nobody works as {', '.join(away)}: start {commands}.")
    return Verdict("processes", State.FINE, "Somebody shares, and somebody hears what partners return.")


_ON_BOTH: dict[str, Callable[[Settings], Verdict]] = {
    "contracts": _contracts,
    "plan": _plan,
    "store": _store,
    "processes": _processes,
}

"""The checks themselves, in the order in which one needs another. None changes anything."""

from __future__ import annotations

import http.client
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from sluice import topics
from sluice.contract import check, load_contracts
from sluice.errors import SluiceError
from sluice.installation import plan
from sluice.kafka.admin import client_ids, cluster_id, topic_settings
from sluice.kafka.clients import KafkaTrouble, admin_client
from sluice.keys import load_master_key
from sluice.planning.plan import summary
from sluice.planning.steps import RemoveRight
from sluice.recording import newest_set
from sluice.registry import Registry, RegistryUnavailable
from sluice.settings import Settings
from sluice.source_schema import leaves
from stream_processors.doctor.verdict import State, Verdict

ADMIN = "admin"
OTHERS = ("sharing", "returns", "providers")
"""Ours, whose connection files are needed where they run. CRMs and partners keep theirs."""

SKEW_SECONDS = 5.0
"""Of a machine without NTP; HTTP tells whole seconds."""
LEAST_FREE_BYTES = 1 << 30
_ANSWER_SECONDS = 5.0
_DAY_SECONDS = 86_400

Look = Callable[[Settings], Verdict]


def every(settings: Settings) -> Iterator[Verdict]:
    """Each as soon as it is known."""
    yield _told("disk", _disk, settings)
    admin = _told(f"user {ADMIN}", partial(_user, ADMIN), settings)
    yield admin
    for user in OTHERS:
        yield _told(f"user {user}", partial(_user, user), settings)
    registry = _told("registry", _registry, settings)
    yield registry
    yield _told("clock", _clock, settings)
    is_there = {State.FINE} == {admin.state, registry.state}
    for name, look in _ON_BOTH.items():
        if is_there:
            yield _told(name, look, settings)
        else:
            yield Verdict(name, State.UNSEEN, "The broker, as its administrator, and the registry come first.")


def _told(name: str, look: Look, settings: Settings) -> Verdict:
    """What stops a check is what it found."""
    try:
        return look(settings)
    except (SluiceError, OSError) as error:
        return Verdict(name, State.TROUBLE, " ".join(str(error).split()))


def _disk(settings: Settings) -> Verdict:
    """Where the stores and their copies lie; one at a time is written anew beside itself."""
    for folder in filter(None, (settings.sharing.state, settings.sharing.snapshots)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        largest = max((sum(size for _, size in _files(store)) for store in folder.glob("*/*")), default=0)
        free, needed = shutil.disk_usage(there).free, max(LEAST_FREE_BYTES, largest)
        if free < needed:
            says = f"Make room where {folder} lies: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} may be needed."
            return Verdict("disk", State.TROUBLE, says)
    return Verdict("disk", State.FINE, f"There is room on this machine where {settings.sharing.state} lies, or would.")


def _files(folder: Path) -> Iterator[tuple[float, int]]:
    """When each was written, and its size. A running store makes and deletes files meanwhile."""
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        if not path.is_dir():
            yield found.st_mtime, found.st_size


def _user(user: str, settings: Settings) -> Verdict:
    client = settings.client(user)
    address = client.get("bootstrap.servers")
    try:
        cluster_id(admin_client(client))
    except KafkaTrouble as error:
        file = settings.clients / f"{user}.properties"
        says = f"{error} If a broker runs at {address}, it does not know user or password of {file}."
        return Verdict(f"user {user}", State.TROUBLE, says)
    return Verdict(f"user {user}", State.FINE, f"The broker at {address} lets {user} in.")


def _registry(settings: Settings) -> Verdict:
    known = settings.registry()
    try:
        with closing(Registry(known)) as registry:
            registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
    except (RegistryUnavailable, OSError) as error:
        file = settings.clients / "registry.properties"
        says = f"{str(error).rstrip('.')}. See that a registry runs where {file} says."
        return Verdict("registry", State.TROUBLE, says)
    return Verdict("registry", State.FINE, f"The registry at {known['url']} has the customers' schema.")


def _clock(settings: Settings) -> Verdict:
    """Beside the registry's, which says its time with every answer (RFC 9110, 6.6.1)."""
    said = _time_of_the_registry(settings)
    if said is None:
        return Verdict(
            "clock",
            State.UNSEEN,
            "The registry tells no time when it is plainly asked: there is nothing to compare with.",
        )
    off = (datetime.now(UTC) - said).total_seconds()
    if abs(off) > SKEW_SECONDS:
        way = "ahead of" if off > 0 else "behind"
        says = (
            f"This machine's clock is {abs(off):.0f} s {way} the registry's: let NTP set both; consents count by time."
        )
        return Verdict("clock", State.TROUBLE, says)
    return Verdict("clock", State.FINE, "This machine's clock and the registry's agree.")


def _time_of_the_registry(settings: Settings) -> datetime | None:
    known = settings.registry()
    trusted = HTTPSHandler(context=ssl.create_default_context(cafile=known.get("ssl.ca.location")))
    straight = build_opener(ProxyHandler({}), trusted)
    try:
        with straight.open(Request(known["url"], method="HEAD"), timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - ours
            headers = answer.headers
    except HTTPError as error:
        headers = error.headers
    except (OSError, ValueError, http.client.HTTPException):  # ValueError: the address is none
        return None
    try:
        said = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _key(settings: Settings) -> Verdict:
    master, recorded = load_master_key(settings.master_key), newest_set(settings.client(ADMIN))
    if recorded is not None and recorded.master_key != master.fingerprint:
        says = (
            "This is another master key than partners' names were made with: restore that one. Do not `sluice apply`, "
            "which would recall everybody."
        )
        return Verdict("key", State.TROUBLE, says)
    return Verdict("key", State.FINE, "The master key is the one that partners' names were made with.")


def _contracts(settings: Settings) -> Verdict:
    loaded = load_contracts(settings.contracts)
    with closing(Registry(settings.registry())) as registry:
        _, source = registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
    found = check(loaded, leaves(source), settings.load_law())
    partners = ", ".join(sorted(contract.partner for contract in found.contracts))
    return Verdict("contracts", State.FINE, f"The contracts can be kept: {partners or 'there are none'}.")


def _plan(settings: Settings) -> Verdict:
    """Topics and their settings, partitions, users, rights neither too few nor too many, quotas, schemas, the set."""
    found = plan(settings).plan
    former = [finding for finding in found.findings if finding.address.startswith("partner/")]
    wrong = [f"{finding.address}: {finding.says}" for finding in found.findings if finding not in former]
    if found.steps:
        differs = f"{summary(found.steps)}: `sluice plan` shows them, and `sluice apply` makes them so"
        wrong.insert(0, f"not as the contracts ask: {differs}")
    left = {finding.address.removeprefix("partner/") for finding in former}
    too_many = [one for one in found.left_over if isinstance(one, RemoveRight) and one.partner not in left]
    wrong += [f"{one.says}: `sluice apply --destroy {one.address}` takes it away" for one in too_many]
    if wrong:
        return Verdict("plan", State.TROUBLE, f"{'; '.join(wrong)}.")
    beside = [f"{finding.address}: {finding.says}" for finding in former]
    if found.left_over:
        beside.append(f"left over: {summary(found.left_over)}, which `sluice apply --destroy ADDRESS` removes")
    if beside:
        return Verdict("plan", State.NOTICE, f"As the contracts ask, and beside it: {'; '.join(beside)}.")
    return Verdict("plan", State.FINE, "Topics, rights, quotas, schemas and the set in force are as the contracts ask.")


def _store(settings: Settings) -> Verdict:
    """Whoever was away for longer than tombstones are kept may have missed a deletion, and reads everything anew."""
    folders = sorted(path for path in settings.sharing.state.glob("*/*") if path.is_dir())
    if not folders:
        return Verdict("store", State.NOTICE, f"No store lies in {settings.sharing.state}: it is made from the logs.")
    broker = admin_client(settings.client(ADMIN))
    kept_ms = int(topic_settings(broker, [topics.CUSTOMER_UPDATES])[topics.CUSTOMER_UPDATES]["delete.retention.ms"])
    old = [f"{one.parent.name}/{one.name}" for one in folders if (time.time() - _written(one)) * 1000 > kept_ms]
    if old:
        says = (
            f"Deletions are kept for {kept_ms // 1000 // _DAY_SECONDS} days, and for longer nothing was written in "
            f"{settings.sharing.state} for {', '.join(old)}: they are made anew from the logs when they are needed. "
            "To make room, delete these folders while their processes are stopped."
        )
        return Verdict("store", State.NOTICE, says)
    return Verdict("store", State.FINE, f"Written while deletions were still to be heard: {len(folders)} stores.")


def _written(folder: Path) -> float:
    return max((written for written, _ in _files(folder)), default=time.time())


def _processes(settings: Settings) -> Verdict:
    broker = admin_client(settings.client(ADMIN))
    if not client_ids(broker, settings.sharing.group):
        says = "Nobody shares, and nobody recalls: start `sluice run sharing`."
        return Verdict("processes", State.TROUBLE, says)
    if not client_ids(broker, settings.returns.group):
        says = "Somebody shares. Nobody hears what partners return, or looks at deadlines: start `sluice run returns`."
        return Verdict("processes", State.TROUBLE, says)
    return Verdict("processes", State.FINE, "Somebody shares, and somebody hears what partners return.")


_ON_BOTH: dict[str, Look] = {
    "key": _key,
    "contracts": _contracts,
    "plan": _plan,
    "store": _store,
    "processes": _processes,
}

"""The state folder: everything of one copy.

::

sluice-local.json     what the copy is: ports, passwords, cluster id; also marks the folder as ours (0600)
lock                  held by whoever starts, stops or deletes
broker/  registry/    generated configuration, process id and data of each
logs/                 what each of them printed, and what it printed the time before
clients/              properties files for clients, admin.properties first (0700, files 0600)
"""

import base64
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice.local import properties
from sluice.local.errors import LocalError

MARKER = "sluice-local.json"
LOCK = "lock"
FOLDERS = ("broker", "registry", "logs", "clients")

# The user name under which the node speaks to itself: the broker with the controller and with its own coordinators.
NODE_USER = "node"
ADMIN_USER = "admin"


PortPair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is remembered of a copy between starts. Passwords are random and never shown in a representation."""

    cluster_id: str
    admin_password: str
    node_password: str
    broker_ports: PortPair  # clients, controller
    registry_ports: PortPair  # API, management

    def __repr__(self) -> str:
        return f"Identity({self.cluster_id})"


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: where it lies and what it is."""

    folder: Path
    identity: Identity

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.identity.broker_ports[0]}"

    @property
    def registry_url(self) -> str:
        return f"http://127.0.0.1:{self.identity.registry_ports[0]}/apis/ccompat/v7"

    @property
    def clients(self) -> Path:
        return self.folder / "clients"

    def home(self, service: str) -> Path:
        return self.folder / service

    def log(self, service: str) -> Path:
        return self.folder / "logs" / f"{service}.log"


def find(folder: Path) -> Copy | None:
    """The copy in a folder, or None if there is none."""
    try:
        content = (folder / MARKER).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Copy(folder, msgspec.json.decode(content, type=Identity))
    except msgspec.DecodeError as error:
        raise LocalError(
            f"{folder / MARKER} is damaged ({error}); run `sluice local down --delete` and start afresh"
        ) from error


def create(folder: Path, broker_ports: PortPair, registry_ports: PortPair) -> Copy:
    """Make a copy in a folder that holds nothing but perhaps our lock, and remember it."""
    strangers = [
        entry.name for entry in folder.iterdir() if entry.name != LOCK and not entry.name.startswith(f".{MARKER}")
    ]
    if strangers:
        raise LocalError(f"{folder} holds other things ({strangers[0]}, …); name an empty or a new folder with --state")
    copy = Copy(
        folder,
        Identity(
            cluster_id=_cluster_id(),
            admin_password=secrets.token_urlsafe(24),
            node_password=secrets.token_urlsafe(24),
            broker_ports=broker_ports,
            registry_ports=registry_ports,
        ),
    )
    save(copy)
    return copy


def _cluster_id() -> str:
    """A random id as Kafka makes them: never with a hyphen in front, which its tools would take for an option."""
    while (written := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")).startswith("-"):
        pass
    return written


def save(copy: Copy) -> None:
    properties.write_private(copy.folder / MARKER, msgspec.json.encode(copy.identity).decode("utf-8"))


def make_folders(copy: Copy) -> None:
    for name in FOLDERS:
        (copy.folder / name).mkdir(mode=0o700, exist_ok=True)

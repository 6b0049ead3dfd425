"""The settings of an installation: one YAML file, resolved once at the door. Paths in it are relative to the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo

from sluice.connection_files import Connection, read_properties
from sluice.document import Strict, load
from sluice.errors import SluiceError
from sluice.facts import AS_IN_OUR_PROFILE, FactPaths
from sluice.key_sources import key_source
from sluice.keys import KeySource
from sluice.law.loading import load_law, shipped_law, shipped_packs
from sluice.law.pack import Law
from sluice.provisioning import Groups

if TYPE_CHECKING:
    from sluice.kafka.traces import Traces

ENVIRONMENT = "SLUICE_SETTINGS"
DEFAULT = Path("sluice.yaml")


def _path(written: object) -> Path:
    if not isinstance(written, str | Path) or not str(written):
        raise ValueError("this has to be a path; quote it if it looks like something else")
    return Path(written)


def _key_source(written: object, info: ValidationInfo) -> KeySource:
    return key_source(written, (info.context or {}).get("folder", Path()))


FilePath = Annotated[Path, BeforeValidator(_path)]
RecordPlace = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[0-9]+@[0-9]+$")]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")]


class Endpoint(Strict):
    """Where metrics are served. Loopback unless somebody decides otherwise; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464


class Sharing(Strict):
    """The sharing processor."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "sluice.sharing"
    instance: Name = "0"
    """Stable and unique in the group: names the store's folder and the transactional id."""
    instances: list[Name] = Field(default_factory=list)
    """All processes of the group, by name: what a dead one left open is ended by the others (LOOP 5)."""
    state: FilePath
    """Folder of the stores: a cache that may be deleted while the processor is stopped."""
    store_memory_mb: Annotated[int, Field(ge=8)] = 256
    """Megabytes that all stores of a process use together, whatever they hold."""
    snapshots: FilePath | None = None
    """Folder of the stores' copies, better on another disk: from one of them a lost store is brought up sooner."""
    snapshot_every_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    standby: bool = False
    """Keep copies of the other instances' partitions too, so that a takeover costs seconds."""
    batch: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """Updates in one transaction, at the most."""
    session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = 10_000
    metrics: Endpoint = Endpoint()
    acknowledged: list[RecordPlace] = Field(default_factory=list)
    """Records that an operator has looked into, as `topic/partition@offset` (LOOP 24, 25)."""


class Returns(Strict):
    """The processor of what partners return."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "sluice.returns"
    warn_after: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """Share of a recall's term after which it is due soon."""
    look_every_s: Annotated[float, Field(ge=0.1, le=60)] = 5
    """How often deadlines and contracts are looked at."""
    metrics: Endpoint = Endpoint(port=9564)


class Providers(Strict):
    """The processor of what service providers are asked, and of what they reply."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "sluice.providers"
    """Consumer group, and transactional id: of two processes the later one ends the earlier."""
    batch: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Replies, and requests, in one transaction, at the most."""
    metrics: Endpoint = Endpoint(port=9664)


class Page(Strict):
    """The page for operators, which the sharing processor serves beside its metrics."""

    token: FilePath | None = None
    """File with what a browser gives as its password. Without one the page is for this machine alone."""
    processes: list[Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]] | None = None
    """Where the metrics are that it shows: this process's own, and those of returns and providers on this machine."""


class Tracing(Strict):
    """Traces of records, from their publication to the committed transaction; off unless somebody names a collector."""

    endpoint: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Of a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Of the records that `sluice publish` writes."""


class LawSettings(Strict):
    """How laws are applied here."""

    packs: FilePath | None = None
    """Folder of law packs; those that come with Sluice unless somebody keeps others."""
    source_priority: list[str] = Field(default_factory=list)
    """Source systems, the most trusted first: of answers of the same time theirs win (DOMAIN A4.14)."""


class FactSettings(Strict):
    """Where customers' profiles state what laws ask: paths in the source schema."""

    residence: str = AS_IN_OUR_PROFILE.residence
    collected_in: str = AS_IN_OUR_PROFILE.collected_in
    birth_date: str = AS_IN_OUR_PROFILE.birth_date
    restricted: str = AS_IN_OUR_PROFILE.restricted
    deceased: str = AS_IN_OUR_PROFILE.deceased
    rectified_at: str = AS_IN_OUR_PROFILE.rectified_at
    updated_at: str = AS_IN_OUR_PROFILE.updated_at


class Settings(Strict):
    clients: FilePath
    """Folder of connection files: `<user>.properties` as librdkafka reads them, and `registry.properties`."""
    contracts: FilePath
    master_key: Annotated[KeySource, PlainValidator(_key_source)]
    """Where it is kept, never the key itself."""
    customer_keys: FilePath | None = None
    """File of customers' own keys, for contracts that encrypt with them (`aes_gcm`)."""
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Of every topic, for ever: a keyed topic never gets more."""
    certificates: list[str] = Field(default_factory=list)
    """Users who log in with a certificate: they get no password, and rights by the broker's name for `CN=<user>`."""
    law: LawSettings = LawSettings()
    facts: FactSettings = FactSettings()
    sharing: Sharing
    returns: Returns = Returns()
    providers: Providers = Providers()
    page: Page = Page()
    tracing: Tracing = Tracing()

    def traces(self, service: str) -> Traces | None:
        """None where nobody asks for them. Raises SluiceError where OpenTelemetry is not installed."""
        if self.tracing.endpoint is None:
            return None
        try:
            from sluice.kafka import traces  # noqa: PLC0415 - OpenTelemetry is an extra
        except ModuleNotFoundError:
            raise SluiceError(
                "Tracing needs OpenTelemetry, which is not installed: pip install 'sluice[tracing]', or take "
                "`tracing` out of the settings."
            ) from None
        return traces.traces(f"sluice-{service}", self.tracing.share, self.tracing.endpoint)

    def load_law(self) -> Law:
        """Raises DocumentError with every problem of every pack."""
        paths = FactPaths(**self.facts.model_dump())
        if self.law.packs is None:
            return shipped_law(self.law.source_priority, paths)
        return load_law(self.law.packs, self.law.source_priority, paths)

    @contextmanager
    def law_folder(self) -> Iterator[Path]:
        """The folder of the law packs, for as long as it is looked at."""
        if self.law.packs is not None:
            yield self.law.packs
        else:
            with shipped_packs() as folder:
                yield folder

    def client(self, user: str) -> Connection:
        return read_properties(self.clients / f"{user}.properties")

    @property
    def groups(self) -> Groups:
        """Of our processors."""
        return Groups(sharing=self.sharing.group, returns=self.returns.group, providers=self.providers.group)

    def registry(self) -> Connection:
        """`url`, and whatever else the registry's client takes: credentials, TLS."""
        path = self.clients / "registry.properties"
        found = read_properties(path)
        if not found.get("url"):
            raise SluiceError(f"{path} names no registry: it needs a line `url=http://…`.")
        if "@" in found["url"]:
            raise SluiceError(
                f"{path}: `url` is shown, so no credentials belong there: write `basic.auth.user.info=USER:PASSWORD`."
            )
        return found


def load_settings(path: Path | None) -> Settings:
    """The settings from `path`, else from the file that SLUICE_SETTINGS names, else from ./sluice.yaml."""
    chosen = path or Path(os.environ.get(ENVIRONMENT, DEFAULT))
    if not chosen.exists():
        raise SluiceError(
            f"There are no settings at {chosen}: name the file with --settings or {ENVIRONMENT}; "
            "deploy/demo/sluice.yaml is an example."
        )
    settings, _ = load(chosen, Settings)
    folder = chosen.parent
    return settings.model_copy(
        update={
            "clients": folder / settings.clients,
            "contracts": folder / settings.contracts,
            "customer_keys": settings.customer_keys and folder / settings.customer_keys,
            "page": settings.page.model_copy(update={"token": settings.page.token and folder / settings.page.token}),
            "law": settings.law.model_copy(update={"packs": settings.law.packs and folder / settings.law.packs}),
            "sharing": settings.sharing.model_copy(
                update={
                    "state": folder / settings.sharing.state,
                    "snapshots": settings.sharing.snapshots and folder / settings.sharing.snapshots,
                }
            ),
        }
    )

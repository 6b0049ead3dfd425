"""Starting, stopping and looking at a local copy: the one place that knows the order.

Every function may be called at any time, whatever was killed before: what runs is found by ``process``, what is half
made is made anew, and starting what runs or stopping what does not is no error. Copies in different folders live side
by side.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice.local import artefacts, cache, client_files, process, registry, service, state
from sluice.local.errors import LocalError
from sluice.local.lock import held
from sluice.local.progress import Progress, Silence
from sluice.local.state import Copy

SERVICES = tuple(service.SERVICES)

_PATIENCE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a copy is reached, and the folder of properties files that say how."""

    bootstrap: str
    registry_url: str
    clients: Path


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """``pid`` and ``since``, in seconds of the epoch, are None for what does not run."""

    name: str
    pid: int | None
    since: float | None
    answers: bool


@dataclass(frozen=True, slots=True)
class Status:
    """``endpoints`` is None where there is no copy."""

    folder: Path
    endpoints: Endpoints | None
    services: tuple[ServiceStatus, ...]

    @property
    def is_up(self) -> bool:
        return all(one.answers for one in self.services)


def start(folder: Path, progress: Progress | None = None, services: Sequence[str] = SERVICES) -> Endpoints:
    """Start what does not run of ``services`` and return when all of them serve.

    Raises ``LocalError``; then, and on an interrupt, whatever this call started is stopped again.

    1. The folder is locked against others that start or stop, and made a copy if it is none.
    2. The programs are verified, and fetched if need be.
    3. What does not run is started, all at once, on the ports it had, or on others if those are taken; and waited for.
    4. The registry is told its compatibility level.
    5. The files for clients are brought up to date.
    """
    report = progress or Silence()
    folder = folder.absolute()
    with _usable(folder), _locked(folder, report):
        copy = state.find(folder) or state.create(folder, service.choose_ports(), service.choose_ports())  # 1
        state.make_folders(copy)
        copy = _start(copy, services, report)  # 2, 3
        if registry.NAME in services:
            registry.require_compatibility(copy)  # 4
        client_files.refresh(copy)  # 5
        return _endpoints(copy)


def stop(folder: Path, services: Sequence[str] = SERVICES, patience: float = _PATIENCE_SECONDS) -> tuple[str, ...]:
    """Stop those of ``services`` that run; returns their names.

    A service that has not ended ``patience`` seconds after it was asked is killed; with 0 it is killed at once.
    """
    copy = state.find(folder.absolute())
    if copy is None:
        return ()
    with _usable(copy.folder), _locked(copy.folder, Silence()):
        return tuple(name for name in services if service.halt(copy, name, patience))


def delete(folder: Path) -> bool:
    """Kill what runs of a copy and remove all that belongs to it; False if there is none.

    What others put beside it stays.
    """
    folder = folder.absolute()
    if not (folder / state.MARKER).exists():
        return False
    with _usable(folder):
        with _locked(folder, Silence()):
            _kill_all(folder)
            for entry in filter(Path.exists, (folder / name for name in state.FOLDERS)):
                shutil.rmtree(entry)
            (folder / state.MARKER).unlink()  # after the data, so that a deletion that was cut short can be repeated
            (folder / state.LOCK).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    return True


def status(folder: Path) -> Status:
    """What runs and answers, asked now."""
    folder = folder.absolute()
    copy = state.find(folder)
    if copy is None:
        return Status(folder, None, tuple(ServiceStatus(name, None, None, answers=False) for name in SERVICES))
    return Status(folder, _endpoints(copy), tuple(_service_status(copy, name) for name in SERVICES))


def _start(copy: Copy, services: Sequence[str], report: Progress) -> Copy:
    stopped = [name for name in services if process.find(copy.home(name)) is None]
    others = [name for name in services if name not in stopped]
    if stopped:
        programs = cache.provide(cache.cache_folder(), artefacts.pinned(), report)
        copy = service.bring_up(copy, stopped, programs, report)
    else:
        report.say(f"already running in {copy.folder}")
    service.await_ready(copy, others, Silence())
    return copy


def _kill_all(folder: Path) -> None:
    for name in SERVICES:
        running = process.find(folder / name)
        if running is not None:
            process.stop(running, patience=0)


def _service_status(copy: Copy, name: str) -> ServiceStatus:
    running = process.find(copy.home(name))
    if running is None:
        return ServiceStatus(name, None, None, answers=False)
    return ServiceStatus(name, running.pid, running.since, answers=service.SERVICES[name].answers(copy))


def _endpoints(copy: Copy) -> Endpoints:
    return Endpoints(copy.bootstrap, copy.registry_url, copy.clients)


@contextmanager
def _locked(folder: Path, report: Progress) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with held(folder / state.LOCK, lambda: report.say("another command works on this copy; waiting for it")):
        yield


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """The disk's refusals as sentences."""
    try:
        yield
    except OSError as error:
        raise LocalError(
            f"the state folder {folder} cannot be used ({error.strerror or error}); "
            "make room, or name another with --state"
        ) from error

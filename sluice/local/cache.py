"""The shared folder of fetched artefacts: ``$SLUICE_CACHE``, else ``sluice`` in the user's cache folder.

::

    artefacts/<sha256>/<file>     a jar
    registry/<sha256>/            the registry's archive unpacked, with the digest of each file in ``manifest.json``
    partial-*                     under way; never read, removed by the next fetch
    lock                          held while fetching

Nothing gets a lasting name before its content is verified against the lock file, and all is verified again at each
start (0.2 s), so a download that was cut short or a file that was damaged is fetched anew, never used.
"""

import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sluice.local import maven
from sluice.local.artefacts import Artefact, Coordinate, sha256_of
from sluice.local.errors import LocalError
from sluice.local.lock import held
from sluice.local.progress import Progress
from sluice.local.runtime import java

Download = Callable[[Coordinate, Path, maven.Watch], Path]

_MANIFEST = "manifest.json"
_ROOM_BYTES = 600_000_000  # archive, unpacked archive and jars at once
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of what is run: Java itself, the broker's class path, and the registry's jar."""

    java: Path
    classpath: tuple[Path, ...]
    registry: Path


def cache_folder() -> Path:
    chosen = os.environ.get("SLUICE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice"


def provide(
    folder: Path, artefacts: Sequence[Artefact], progress: Progress, download: Download = maven.download
) -> Programs:
    """All artefacts, verified; what is missing or damaged is fetched first."""
    if os.pathsep in str(folder):
        raise LocalError(
            f"the cache folder {folder} has a {os.pathsep!r} in its name, which Java's class path cannot carry"
        )
    programs = _programs(folder, artefacts)
    if not all(_is_intact(folder, artefact) for artefact in artefacts):
        try:
            _fetch_missing(folder, artefacts, progress, download)
        except OSError as error:
            raise LocalError(
                f"{_disk_trouble(folder, error)}; make room, or name another folder in SLUICE_CACHE"
            ) from error
    return programs


def _programs(folder: Path, artefacts: Sequence[Artefact]) -> Programs:
    jars = tuple(_place(folder, artefact) for artefact in artefacts if not _is_archive(artefact))
    (archive,) = (artefact for artefact in artefacts if _is_archive(artefact))
    return Programs(java(), jars, _place(folder, archive) / "quarkus-run.jar")


def _fetch_missing(folder: Path, artefacts: Sequence[Artefact], progress: Progress, download: Download) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / "lock", lambda: progress.say("another process is fetching; waiting for it")):
        for leftover in folder.glob("partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        missing = [artefact for artefact in artefacts if not _is_intact(folder, artefact)]
        if not missing:
            return
        _check_room(folder, missing)
        progress.say(f"fetching {len(missing)} artefacts from Maven Central, once")
        began = time.monotonic()
        for number, artefact in enumerate(missing, start=1):
            title = f"{number}/{len(missing)} {artefact.coordinate.name}"
            _fetch(folder, artefact, partial(_watch, progress, title), download)
        progress.say(f"fetched into {folder} in {time.monotonic() - began:.0f} s")


def _watch(progress: Progress, title: str, _: str, size: int) -> AbstractContextManager[Callable[[int], None]]:
    return progress.download(title, size)


def _fetch(folder: Path, artefact: Artefact, watch: maven.Watch, download: Download) -> None:
    for _ in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="partial-", dir=folder) as scratch:
            file = download(artefact.coordinate, Path(scratch) / "download", watch)
            if sha256_of(file) == artefact.sha256:
                _settle(folder, artefact, file, Path(scratch))
                return
    raise LocalError(
        f"Maven Central's {artefact.coordinate} is not the file that artefacts.lock pins, so it is not used; "
        "find out who changed which of the two"
    )


def _settle(folder: Path, artefact: Artefact, file: Path, scratch: Path) -> None:
    """Give verified content its lasting name by one rename; what bore it before moves aside into ``scratch``."""
    place = _place(folder, artefact)
    ready = _unpack(file, scratch / "unpacked") if _is_archive(artefact) else file
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(scratch / "damaged")
    ready.rename(place)


def _unpack(archive: Path, target: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    (target / _MANIFEST).write_text(json.dumps(_digests(target)), encoding="utf-8")
    return target


def _digests(tree: Path) -> dict[str, str]:
    return {str(path.relative_to(tree)): sha256_of(path) for path in sorted(tree.rglob("*")) if path.is_file()}


def _is_intact(folder: Path, artefact: Artefact) -> bool:
    place = _place(folder, artefact)
    try:
        return _is_intact_tree(place) if _is_archive(artefact) else sha256_of(place) == artefact.sha256
    except (OSError, ValueError):
        return False


def _is_intact_tree(tree: Path) -> bool:
    manifest = json.loads((tree / _MANIFEST).read_text(encoding="utf-8"))
    return all(sha256_of(tree / name) == digest for name, digest in manifest.items())


def _is_archive(artefact: Artefact) -> bool:
    return artefact.coordinate.packaging == "tar.gz"


def _place(folder: Path, artefact: Artefact) -> Path:
    if _is_archive(artefact):
        return folder / "registry" / artefact.sha256
    return folder / "artefacts" / artefact.sha256 / artefact.coordinate.filename


def _check_room(folder: Path, missing: Sequence[Artefact]) -> None:
    if any(map(_is_archive, missing)) and shutil.disk_usage(folder).free < _ROOM_BYTES:
        raise LocalError(f"{folder} needs {_ROOM_BYTES // 10**6} MB; make room, or name another folder in SLUICE_CACHE")


def _disk_trouble(folder: Path, error: OSError) -> str:
    return f"the cache folder {folder} cannot be written ({error.strerror or error})"

"""The cache trusts nothing that does not match the lock file."""

import hashlib
import io
import tarfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sluice.local import cache
from sluice.local.artefacts import Artefact, Coordinate, parse_coordinate
from sluice.local.errors import LocalError
from sluice.local.maven import Watch
from sluice.local.progress import Silence


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("quarkus-run.jar")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"run"))
    return buffer.getvalue()


JAR = parse_coordinate("org.example:little:1.0:jar")
ARCHIVE = parse_coordinate("org.example:app:1.0:all:tar.gz")
CONTENTS = {JAR: b"a jar", ARCHIVE: _archive()}
ARTEFACTS = tuple(Artefact(hashlib.sha256(content).hexdigest(), where) for where, content in CONTENTS.items())


@dataclass
class Central:
    """Hands out the two files, the first ``damaged`` times cut short, and notes what was fetched."""

    damaged: int = 0
    fetched: list[Coordinate] = field(default_factory=list)

    def download(self, coordinate: Coordinate, folder: Path, watch: Watch) -> Path:
        self.fetched.append(coordinate)
        content = CONTENTS[coordinate]
        if self.damaged:
            self.damaged -= 1
            content = content[:-1]
        folder.mkdir()
        with watch(coordinate.filename, len(content)) as advance:
            (folder / coordinate.filename).write_bytes(content)
            advance(len(content))
        return folder / coordinate.filename

    def provide(self, folder: Path) -> cache.Programs:
        return cache.provide(folder, ARTEFACTS, Silence(), self.download)


def test_everything_is_fetched_once(tmp_path: Path) -> None:
    central = Central()
    programs = central.provide(tmp_path)
    assert central.provide(tmp_path) == programs
    assert central.fetched == [JAR, ARCHIVE]
    assert programs.classpath[0].read_bytes() == b"a jar"
    assert programs.registry.read_bytes() == b"run"


def test_a_damaged_file_is_fetched_again_and_nothing_else(tmp_path: Path) -> None:
    programs = Central().provide(tmp_path)
    programs.classpath[0].write_bytes(b"a JAR")
    central = Central()
    assert central.provide(tmp_path).classpath[0].read_bytes() == b"a jar"
    assert central.fetched == [JAR]


@pytest.mark.parametrize("damage", ["quarkus-run.jar", "manifest.json"])
def test_a_damaged_unpacked_archive_is_fetched_again(tmp_path: Path, damage: str) -> None:
    programs = Central().provide(tmp_path)
    programs.registry.with_name(damage).write_bytes(b"ruN")
    central = Central()
    assert central.provide(tmp_path).registry.read_bytes() == b"run"
    assert central.fetched == [ARCHIVE]


def test_a_missing_file_of_an_unpacked_archive_is_fetched_again(tmp_path: Path) -> None:
    Central().provide(tmp_path).registry.unlink()
    assert Central().provide(tmp_path).registry.read_bytes() == b"run"


def test_a_download_that_does_not_match_is_tried_again(tmp_path: Path) -> None:
    central = Central(damaged=1)
    assert central.provide(tmp_path).classpath[0].read_bytes() == b"a jar"
    assert central.fetched == [JAR, JAR, ARCHIVE]


def test_a_file_that_never_matches_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"little:1\.0:jar is not the file"):
        Central(damaged=9).provide(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_an_interrupted_fetch_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "partial-killed" / "download"
    leftover.mkdir(parents=True)
    Central().provide(tmp_path)
    assert not leftover.parent.exists()


def test_two_fetches_at_once_fetch_once(tmp_path: Path) -> None:
    central = Central()
    threads = [threading.Thread(target=central.provide, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert central.fetched == [JAR, ARCHIVE]


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    def refuse(coordinate: Coordinate, folder: Path, watch: Watch) -> Path:  # noqa: ARG001 - the signature of a download
        raise OSError(28, "No space left on device")

    with pytest.raises(LocalError, match=r"\(No space left on device\); make room"):
        cache.provide(tmp_path, ARTEFACTS, Silence(), refuse)


def test_the_folder_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SLUICE_CACHE", raising=False)
    assert cache.cache_folder() == tmp_path / "sluice"
    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path / "own"))
    assert cache.cache_folder() == tmp_path / "own"

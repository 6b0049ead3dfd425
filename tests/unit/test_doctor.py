"""The doctor's checks that need no broker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from sluice.settings import Settings, load_settings
from stream_processors.doctor import checks
from stream_processors.doctor.verdict import State


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@contextmanager
def registry_that_says(date: str, status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", date)
            self.end_headers()

        def log_message(self, *_what: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def settings(folder: Path, url: str) -> Settings:
    (folder / "registry.properties").write_text(f"url={url}\n", encoding="utf-8")
    path = folder / "sluice.yaml"
    path.write_text("{clients: ., contracts: ., master_key: k, sharing: {state: state/of/ours}}\n", encoding="utf-8")
    return load_settings(path)


@pytest.mark.parametrize("status", [200, 401, 405])
@pytest.mark.parametrize(
    ("off", "state", "words"),
    [
        (timedelta(0), State.FINE, "agree"),
        (timedelta(hours=1), State.TROUBLE, "behind"),
        (timedelta(minutes=-10), State.TROUBLE, "ahead of"),
    ],
)
def test_a_clock_that_is_off(tmp_path: Path, status: int, off: timedelta, state: State, words: str) -> None:
    with registry_that_says(format_datetime(datetime.now(UTC) + off, usegmt=True), status) as url:
        found = checks._clock(settings(tmp_path, url))
    assert (found.state, words in found.says) == (state, True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "registry.example.com/apis/ccompat/v7"])
def test_a_clock_with_nothing_to_compare_it_with(tmp_path: Path, url: str) -> None:
    assert checks._clock(settings(tmp_path, url)).state is State.UNSEEN


@pytest.mark.parametrize("said", ["", "0", "next Tuesday"])
def test_a_registry_that_says_nonsense_of_its_time(tmp_path: Path, said: str) -> None:
    with registry_that_says(said, 200) as url:
        assert checks._clock(settings(tmp_path, url)).state is State.UNSEEN


@pytest.mark.parametrize(("free", "state"), [(checks.LEAST_FREE_BYTES - 1, State.TROUBLE), (1 << 31, State.FINE)])
def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State) -> None:
    """Of the folder that is there, where the stores' is not made yet."""
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: Usage(1 << 40, 0, free)}.__getitem__)
    assert checks._disk(settings(tmp_path, "http://nobody")).state is state


def test_a_disk_has_room_for_the_largest_store_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for all of them, or a disk half full of stores would be a trouble for ever."""
    one = settings(tmp_path, "http://nobody")
    stores = one.sharing.state / "sharing-0"
    for number, gigabytes in enumerate((2, 3, 2)):
        (stores / str(number)).mkdir(parents=True)
        with (stores / str(number) / "1.sst").open("wb") as file:
            file.truncate(gigabytes << 30)  # takes no room
    for free, state in ((3 << 30, State.FINE), ((3 << 30) - 1, State.TROUBLE)):
        monkeypatch.setattr(shutil, "disk_usage", {one.sharing.state: Usage(1 << 40, 0, free)}.__getitem__)
        assert checks._disk(one).state is state


def test_files_that_go_while_they_are_looked_at_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a store that runs."""
    (tmp_path / "here").write_bytes(b"123")
    there = [tmp_path / "gone", tmp_path / "here"]
    monkeypatch.setattr(Path, "rglob", lambda *_: iter(there))
    assert [size for _, size in checks._files(tmp_path)] == [3]

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
def registry_whose_clock_is_off(by: timedelta, status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", format_datetime(datetime.now(UTC) + by, usegmt=True))
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
    with registry_whose_clock_is_off(off, status) as url:
        found = checks._clock(settings(tmp_path, url))
    assert (found.state, words in found.says) == (state, True)


def test_a_clock_with_nothing_to_compare_it_with(tmp_path: Path) -> None:
    assert checks._clock(settings(tmp_path, "http://127.0.0.1:1")).state is State.UNSEEN


@pytest.mark.parametrize(("free", "state"), [(9, State.TROUBLE), (11, State.FINE)])
def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State) -> None:
    """Of the folder that is there, where the stores' is not made yet."""
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: Usage(100, 100 - free, free)}.__getitem__)
    assert checks._disk(settings(tmp_path, "http://nobody")).state is state

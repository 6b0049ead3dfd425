"""The proxy does to a connection what it is told to, and lets it be afterwards."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.chaos.proxy import Conditions, Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it is told."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with closing(connection):
        try:
            while piece := connection.recv(65536):
                connection.sendall(piece)
        except OSError:
            return


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as connection:
        yield connection


def said(connection: socket.socket, what: bytes) -> bytes:
    connection.sendall(what)
    heard = b""
    while len(heard) < len(what):
        piece = connection.recv(65536)
        if not piece:
            break
        heard += piece
    return heard


def test_forwards_both_ways(echo: int) -> None:
    with Proxy(echo) as proxy, connected(proxy.port) as first, connected(proxy.port) as second:
        assert said(first, b"one") == b"one"
        assert said(second, b"x" * 300_000) == b"x" * 300_000


def test_cut_resets_what_there_is_and_refuses_what_comes(echo: int) -> None:
    with Proxy(echo) as proxy:
        port = proxy.port
        with connected(port) as connection:
            assert said(connection, b"before") == b"before"
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        proxy.restore()
        with connected(port) as connection:
            assert said(connection, b"after") == b"after"


def test_black_hole_takes_and_answers_nothing(echo: int) -> None:
    with Proxy(echo) as proxy, connected(proxy.port) as old:
        assert said(old, b"before") == b"before"
        proxy.black_hole()
        with connected(proxy.port) as new:
            for connection in (old, new):
                connection.sendall(b"anybody?")
                connection.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                connection.settimeout(5)
            proxy.restore()
            assert old.recv(100) == b"anybody?"
            assert new.recv(100) == b"anybody?"


def test_cut_ends_a_black_hole_s_connections(echo: int) -> None:
    with Proxy(echo) as proxy, connected(proxy.port) as connection:
        proxy.black_hole()
        connection.sendall(b"anybody?")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_latency_is_added_each_way(echo: int) -> None:
    with Proxy(echo) as proxy, connected(proxy.port) as connection:
        proxy.slow(Conditions(latency_seconds=0.1))
        started = time.monotonic()
        assert said(connection, b"slowly") == b"slowly"
        assert time.monotonic() - started >= 0.2
        proxy.restore()
        started = time.monotonic()
        assert said(connection, b"fast") == b"fast"
        assert time.monotonic() - started < 0.2


def test_bandwidth_is_limited(echo: int) -> None:
    with Proxy(echo) as proxy, connected(proxy.port) as connection:
        proxy.slow(Conditions(bytes_per_second=100_000))
        started = time.monotonic()
        assert said(connection, b"x" * 30_000) == b"x" * 30_000
        assert time.monotonic() - started >= 0.5


def test_ends_what_the_other_side_ended(echo: int) -> None:
    with Proxy(echo) as proxy, connected(proxy.port) as connection:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_nobody_behind_it_is_told_by_a_reset() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with Proxy(port) as proxy, pytest.raises(ConnectionResetError), connected(proxy.port) as connection:
        connection.recv(1)

"""A TCP proxy between two ports of the loopback interface that can be told to misbehave.

It is what a network between a processor and its broker does on a bad day: connections are reset and refused, taken and
never answered, or answered late.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

_LOOPBACK = "127.0.0.1"
_PIECE_BYTES = 64 * 1024
_BACKLOG = 64
_PATIENCE_SECONDS = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Conditions:
    """How what passes is treated, in either direction."""

    latency_seconds: float = 0.0
    """Added to each piece of at most 64 KB."""
    bytes_per_second: float | None = None
    """Of each direction of each connection; None: as fast as it goes."""

    def delay(self, size: int) -> float:
        return self.latency_seconds + (size / self.bytes_per_second if self.bytes_per_second else 0.0)


CLEAR = Conditions()


class Proxy:
    """Forwards `port` to `target`. Its methods may be called from any thread; a context manager."""

    def __init__(self, target: int, port: int = 0) -> None:
        """Port 0 takes a free one, which is kept through every cut."""
        self._target = target
        self._conditions = CLEAR
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._forwards = asyncio.Event()
        self.port = port
        self.restore()

    def cut(self) -> None:
        """Reset every connection and refuse new ones, until restored."""
        self._call(self._cut())

    def black_hole(self) -> None:
        """Take connections and forward nothing; what came in meanwhile is forwarded once restored."""
        self._loop.call_soon_threadsafe(self._forwards.clear)

    def slow(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def restore(self) -> None:
        """As if nothing had been."""
        self._conditions = CLEAR
        self._call(self._listen())
        self._loop.call_soon_threadsafe(self._forwards.set)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._call(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE_SECONDS)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((_LOOPBACK, self.port), backlog=_BACKLOG)
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _cut(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        connections = tuple(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # who knocked has gone again
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection = self._loop.create_task(self._serve(client))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(lambda _: client.close())

    async def _serve(self, client: socket.socket) -> None:
        """One connection, until either side ends it or the network does. Its ends are always resets."""
        near = far = None
        try:
            near_reader, near = await asyncio.open_connection(sock=client)
            await self._forwards.wait()
            far_reader, far = await asyncio.open_connection(_LOOPBACK, self._target)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(near_reader, far))
                both.create_task(self._pump(far_reader, near))
        except* OSError:
            pass  # a broken connection is this program's trade
        finally:
            for writer in (near, far):
                if writer is not None:
                    writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            await asyncio.sleep(self._conditions.delay(len(piece)))
            await self._forwards.wait()
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError  # one side has ended: the other one learns of it

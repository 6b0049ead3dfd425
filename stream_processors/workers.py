"""Several sharing processors side by side, for several cores: processes of one group, each with a store of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableSequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue

import click

from sluice.errors import SluiceError
from sluice.interrupts import interrupts_held
from sluice.settings import Settings
from stream_processors import watchdog
from stream_processors.serving import Served, serve

MOST_WORKERS = 64
_RESTART_SECONDS = 1.0


class Workers:
    """Started and ended together. One that is killed is started again; meanwhile the others have its partitions."""

    def __init__(self, settings: Settings, port: int, count: int, *, until_end: bool) -> None:
        self._context = multiprocessing.get_context("spawn")  # not forked: no client outlives a fork
        self._settings = [_settings_of(settings, name, count) for name in range(count)]
        self._ports = [port + number if port else 0 for number in range(count)]
        self._at_end = self._context.RawArray("b", count + 1)
        self._until_end = until_end
        self._results: SimpleQueue[Served] = self._context.SimpleQueue()
        self._running: dict[int, BaseProcess] = {}
        self._stopping = False

    def run(self) -> list[Served]:
        """Until they are stopped, or nothing is left to do for any of them.

        Raises SluiceError when one of them ends with a sentence, which it told.
        """
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: self.stop())
        for number in range(len(self._settings)):
            self._start(number)
        failed = False
        while self._running:
            for number, status in self._ended():
                died = status < 0 or status == watchdog.STATUS
                if died and self._stopping:
                    continue  # it had not begun
                if died:
                    how = "was stuck" if status > 0 else f"was ended from outside by signal {-status}"
                    click.echo(f"Worker {number} {how}: starting it again.", err=True)
                    time.sleep(_RESTART_SECONDS)
                    self._start(number)
                elif status:
                    failed = True
                    self.stop()
        if failed:
            raise SluiceError("A worker could not go on, for the reason that it gave above; all have ended.")
        return list(self._told())

    def stop(self) -> None:
        """Each ends after its batch in hand. May be called by a signal handler."""
        self._stopping = True
        for process in list(self._running.values()):
            process.terminate()

    def _start(self, number: int) -> None:
        if self._stopping:
            return
        self._at_end[number] = 0
        flags = self._at_end if self._until_end else None
        arguments = (self._settings[number], self._ports[number], number, flags, self._results)
        process = self._context.Process(target=_work, args=arguments)
        with interrupts_held():
            process.start()
            self._running[number] = process
        if self._stopping:  # asked for between the two
            process.terminate()

    def _ended(self) -> Iterator[tuple[int, int]]:
        wait([process.sentinel for process in self._running.values()])
        for number, process in list(self._running.items()):
            if process.exitcode is not None:
                del self._running[number]
                yield number, process.exitcode

    def _told(self) -> Iterator[Served]:
        while not self._results.empty():
            yield self._results.get()


def _settings_of(settings: Settings, number: int, count: int) -> Settings:
    """A name of its own, and those of the others, whose open transactions it may end (LOOP 5)."""
    names = [f"{settings.sharing.instance}-{one}" for one in range(count)]
    everybody = [*settings.sharing.instances, *names]
    own = settings.sharing.model_copy(update={"instance": names[number], "instances": everybody})
    return settings.model_copy(update={"sharing": own})


def _work(
    settings: Settings, port: int, number: int, at_end: MutableSequence[int] | None, results: SimpleQueue[Served]
) -> None:
    """In a process of its own, which does not outlive its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        served = serve(settings, port, None if at_end is None else _all_at_end(at_end, number))
    except SluiceError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    results.put(served)


def _all_at_end(flags: MutableSequence[int], number: int) -> Callable[[bool], bool]:
    """Whether all were at their ends at once. Who leaves before the others would leave them his partitions.

    Once it was so it stays so: that is what the last flag is for.
    """

    def until(own: bool) -> bool:  # noqa: FBT001 - as it is called
        flags[number] = own
        if all(flags[:-1]):
            flags[-1] = 1
        return bool(flags[-1])

    return until


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

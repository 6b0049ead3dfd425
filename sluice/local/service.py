"""The two services as one kind of thing, and bringing them up together."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sluice.local import broker, ports, process, registry, state
from sluice.local.cache import Programs
from sluice.local.complaint import last_complaint
from sluice.local.errors import LocalError
from sluice.local.progress import Progress
from sluice.local.state import Copy, Identity, PortPair

_READY_WITHIN_SECONDS = 120.0
_POLL_SECONDS = 0.05
_LAUNCHES = 5  # in all, when others keep taking the ports between choice and use
_FAILED_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Service:
    """``prepare`` writes what the program reads and returns its command; ``answers`` asks it whether it serves."""

    prepare: Callable[[Copy, Programs], list[str]]
    answers: Callable[[Copy], bool]
    ports: Callable[[Identity], PortPair]
    with_ports: Callable[[Identity, PortPair], Identity]


SERVICES = {
    registry.NAME: Service(  # first, because it takes longer to start
        registry.prepare,
        registry.answers,
        lambda identity: identity.registry_ports,
        lambda identity, pair: replace(identity, registry_ports=pair),
    ),
    broker.NAME: Service(
        broker.prepare,
        broker.answers,
        lambda identity: identity.broker_ports,
        lambda identity, pair: replace(identity, broker_ports=pair),
    ),
}


def choose_ports() -> PortPair:
    first, second = ports.choose(2)
    return first, second


def bring_up(copy: Copy, names: Sequence[str], programs: Programs, progress: Progress) -> Copy:
    """Start the named services and wait for them. Returns the copy with the ports they got.

    Stops them all again on any failure or interrupt.
    """
    progress.say(f"starting {' and '.join(sorted(names))}")
    try:
        return _start_until_ready(copy, tuple(names), programs, progress)
    except BaseException:
        for name in names:
            halt(copy, name, _FAILED_PATIENCE_SECONDS)
        raise


def await_ready(copy: Copy, names: Sequence[str], progress: Progress) -> None:
    """Wait for services that somebody else has started; they are left alone if they do not come to serve."""
    _, fallen = _wait(copy, names, progress, time.monotonic())
    if fallen:
        raise _ended(copy, fallen[0])


def halt(copy: Copy, name: str, patience: float) -> bool:
    """Stop a service; False if it does not run."""
    running = process.find(copy.home(name))
    if running is not None:
        process.stop(running, patience)
    return running is not None


def _start_until_ready(copy: Copy, names: tuple[str, ...], programs: Programs, progress: Progress) -> Copy:
    began = time.monotonic()
    waiting, fallen = names, names
    for _ in range(_LAUNCHES):
        copy = _launch(copy, fallen, programs)
        waiting, fallen = _wait(copy, waiting, progress, began)
        if not fallen:
            return copy
    raise LocalError("other programs keep taking the ports that were free a moment before; try again")


def _launch(copy: Copy, names: Sequence[str], programs: Programs) -> Copy:
    for name in names:
        copy = _on_free_ports(copy, name)
        process.launch(SERVICES[name].prepare(copy, programs), copy.home(name), copy.log(name))
    return copy


def _on_free_ports(copy: Copy, name: str) -> Copy:
    service = SERVICES[name]
    if _has_its_ports(copy, name):
        return copy
    copy = replace(copy, identity=service.with_ports(copy.identity, choose_ports()))
    state.save(copy)
    return copy


def _has_its_ports(copy: Copy, name: str) -> bool:
    return all(map(ports.is_free, SERVICES[name].ports(copy.identity)))


def _wait(
    copy: Copy, names: Sequence[str], progress: Progress, began: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Until all serve, or one has ended for want of a port: who does not serve yet, and of them who has ended."""
    waiting = list(names)
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while waiting:
        for name in tuple(waiting):
            if process.find(copy.home(name)) is None:
                if _has_its_ports(copy, name):
                    raise _ended(copy, name)
                return tuple(waiting), (name,)
            if SERVICES[name].answers(copy):
                waiting.remove(name)
                progress.say(f"{name} ready in {time.monotonic() - began:.1f} s")
        if waiting and time.monotonic() > deadline:
            raise LocalError(_silent(copy, waiting[0]))
        time.sleep(_POLL_SECONDS)
    return (), ()


def _ended(copy: Copy, name: str) -> LocalError:
    return LocalError(
        f"the {name} ended while it started: {last_complaint(copy.log(name))} (all of it: {copy.log(name)})"
    )


def _silent(copy: Copy, name: str) -> str:
    return (
        f"the {name} does not answer after {_READY_WITHIN_SECONDS:.0f} s: {last_complaint(copy.log(name))} "
        f"(all of it: {copy.log(name)}); `sluice local down` stops it"
    )

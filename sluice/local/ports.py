"""Ports of the loopback interface.

They are drawn at random from below the ranges that systems use for outgoing connections, so that neither a client's
connection nor another copy that starts at the same moment is likely to take one between choice and use. When it happens
all the same, the service is started again on others.
"""

import secrets
import socket
from contextlib import closing

from sluice.local.errors import LocalError

LOOPBACK = "127.0.0.1"
_RANGE = range(20_000, 32_000)
_DRAWS = 1_000


def is_free(port: int) -> bool:
    """Whether a server could bind the port now; connections that linger from an earlier one do not count."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def choose(count: int) -> list[int]:
    """That many different free ports."""
    candidates = secrets.SystemRandom().sample(_RANGE, _DRAWS)
    chosen: list[int] = []
    for port in candidates:
        if is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise LocalError(f"no {count} free ports on {LOOPBACK} between {_RANGE.start} and {_RANGE.stop}")

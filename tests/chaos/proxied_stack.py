"""A local broker and registry that some clients reach through a proxy each, and that can be killed and paused.

Clients connect to what the broker advertises: for each proxy it gets a listener of its own, which it advertises under
the proxy's port.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from sluice.local import broker, ports, process, properties, stack
from sluice.local.stack import Endpoints
from sluice.local.state import NODE_USER, Copy
from tests.chaos.proxy import Proxy


class ProxiedStack:
    """See above. `doors` names the proxies."""

    def __init__(self, state: Path, doors: Sequence[str]) -> None:
        self._state = state
        self._inner = dict(zip(doors, ports.choose(len(doors)), strict=True))
        self.proxies = {door: Proxy(port, ports.choose(1)[0]) for door, port in self._inner.items()}

    def start(self) -> Endpoints:
        """What does not run of broker and registry. Raises LocalError."""
        with self._more_listeners():
            return stack.start(self._state)

    def stop_broker(self) -> None:
        """As an operator does."""
        stack.stop(self._state, ("broker",))

    def kill_broker(self) -> None:
        stack.stop(self._state, ("broker",), patience=0)

    @contextmanager
    def paused_broker(self) -> Iterator[None]:
        """It runs and does nothing."""
        running = process.find(self._state / broker.NAME)
        if running is None:
            raise RuntimeError("there is no broker to pause")
        os.kill(running.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(running.pid, signal.SIGCONT)

    def clients(self, door: str) -> Path:
        """A folder of connection files that lead through the proxy, made from those that there are now."""
        direct, proxied = self._state / "clients", self._state / f"clients-{door}"
        shutil.copytree(direct, proxied, dirs_exist_ok=True)
        for path in proxied.glob("*.properties"):
            text = path.read_text(encoding="utf-8")
            address = f"127.0.0.1:{self.proxies[door].port}"
            properties.write_private(path, properties.with_value(text, "bootstrap.servers", address))
        return proxied

    def close(self) -> None:
        """Stop everything; the data stays."""
        stack.stop(self._state)
        for proxy in self.proxies.values():
            proxy.close()

    @contextmanager
    def _more_listeners(self) -> Iterator[None]:
        plain = broker.server_properties
        with patch.object(broker, "server_properties", lambda copy: self._extended(copy, plain(copy))):
            yield

    def _extended(self, copy: Copy, plain: dict[str, str]) -> dict[str, str]:
        """The node's configuration with a listener for each proxy, as strict as the clients' own."""
        login = f'required username="{NODE_USER}" password="{copy.identity.node_password}"'
        module = f"org.apache.kafka.common.security.scram.ScramLoginModule {login};"
        more = dict(plain)
        for number, (door, port) in enumerate(self._inner.items()):
            name = f"PROXIED{number}"
            more["listeners"] += f",{name}://127.0.0.1:{port}"
            more["advertised.listeners"] += f",{name}://127.0.0.1:{self.proxies[door].port}"
            more["listener.security.protocol.map"] += f",{name}:SASL_PLAINTEXT"
            listener = f"listener.name.{name.lower()}"
            more[f"{listener}.sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
            more[f"{listener}.scram-sha-512.sasl.jaas.config"] = module
        return more

"""What is done about Faust where it does not keep its word."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sluice.model import PartnerId
from stream_processors.returns import faust_worker

CLIENT = {
    "bootstrap.servers": "127.0.0.1:1",
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.username": "returns",
    "sasl.password": "x",
    "sasl.mechanism": "SCRAM-SHA-512",
}


def test_a_faust_that_never_stops_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen with a broker that went away: the consumer's thread had died, and its service waited for it."""
    monkeypatch.setattr(faust_worker, "_STOP_SECONDS", 0.05)

    async def stop() -> None:
        worker = faust_worker.Worker(CLIENT, "g", [PartnerId("p")], tmp_path)
        monkeypatch.setattr(worker._app, "stop", asyncio.Event().wait)
        await asyncio.wait_for(worker.stop(), 5)

    asyncio.run(stop())

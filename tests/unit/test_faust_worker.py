"""What is done about Faust where it does not keep its word."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from sluice.kafka.access import Access, Login
from sluice.model import PartnerId
from stream_processors.returns import faust_worker

CLIENT = {
    "bootstrap.servers": "127.0.0.1:1",
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.username": "returns",
    "sasl.password": "x",
    "sasl.mechanism": "SCRAM-SHA-512",
}


def test_who_has_a_password_logs_in_with_it_and_who_has_none_with_a_certificate() -> None:
    context = ssl.create_default_context()
    password = faust_worker._settings(faust_worker.way_in(CLIENT))["broker_credentials"]
    assert (password.username, password.password, password.mechanism.value) == ("returns", "x", "SCRAM-SHA-512")
    assert password.ssl_context is None
    for login in (None, Login("returns", "x", "PLAIN")):
        settings = faust_worker._settings(Access(("a:1", "b:2"), login, context))
        told = credentials_to_aiokafka_auth(settings["broker_credentials"])
        assert told["ssl_context"] is context
        assert told["security_protocol"] == ("SASL_SSL" if login else "SSL")
        assert settings["broker"] == ["kafka://a:1", "kafka://b:2"]


def test_a_faust_that_never_stops_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen with a broker that went away: the consumer's thread had died, and its service waited for it."""
    monkeypatch.setattr(faust_worker, "_STOP_SECONDS", 0.05)

    async def stop() -> None:
        worker = faust_worker.Worker(CLIENT, "g", [PartnerId("p")], tmp_path)
        monkeypatch.setattr(worker._app, "stop", asyncio.Event().wait)
        await asyncio.wait_for(worker.stop(), 5)

    asyncio.run(stop())

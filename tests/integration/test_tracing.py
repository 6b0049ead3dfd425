"""One trace from `sluice publish` to the committed transaction, as a collector gets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import Consumer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sluice import topics
from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker

PEOPLE = "".join(
    json.dumps(
        {
            "customer_id": str(number),
            "family_name": name,
            "email": f"{name}@example.com",
            "address": {"country": "AU", "postal_code": "3055"},
            "residence": "AU",
            "updated_at": 1_790_000_000_000,
        }
    )
    + "\n"
    for number, name in ((1, "Secretname"), (2, "Other"))
)


class Collector:
    """Keeps what it is sent, read with OpenTelemetry's own definition of the protocol."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    @property
    def spans(self) -> list[tuple[str, Span]]:
        """Each with the service that it is from."""
        found = []
        for body in self.raw:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = (a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                found += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return found


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.raw.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_trace_goes_from_publication_to_the_committed_transaction_and_never_to_a_partner(
    installation: Installation,
) -> None:
    with collecting() as (collector, url):
        installation.write_settings(tracing={"endpoint": url, "share": 1.0})
        with installation.processor() as processor:
            installation.say("crm:1", HOSHI, "GIVEN")
            people = installation.folder / "people.jsonl"
            people.write_text(PEOPLE, encoding="utf-8")
            done = installation.run("publish", "customers", str(people), "--source", "crm")
            assert done.returncode == 0, done.stderr
            eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
            eventually(lambda: processor.metric("sluice_events_total", topic=topics.CUSTOMER_UPDATES) == 2, "counted")
            installation.say("crm:1", HOSHI, "WITHDRAWN")
            eventually(lambda: installation.control(HOSHI), "recalled")
        publish = {span.trace_id: span for service, span in collector.spans if service == "sluice-publish"}
        share = {span.trace_id: span for service, span in collector.spans if service == "sluice-sharing"}
        assert len(publish) == 2
        assert publish.keys() == share.keys()
        for trace, span in share.items():
            assert span.parent_span_id == publish[trace].span_id
            assert span.name == f"share {topics.CUSTOMER_UPDATES}"
            assert publish[trace].start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        everything = b"".join(collector.raw)
        for mine in (b"crm:1", b"Secretname", b"@example.com", installation.pseudonym(HOSHI, "crm:1").encode()):
            assert mine not in everything
    assert headers_of(installation, topics.CUSTOMER_UPDATES, "admin") == {"traceparent"}
    for topic in (topics.customers(HOSHI), topics.control(HOSHI)):
        assert headers_of(installation, topic, HOSHI) == set()


def headers_of(installation: Installation, topic: str, user: str) -> set[str]:
    """Names of those that any of its records has."""
    group = topics.partner_group(HOSHI, "headers")
    consumer = Consumer({**installation.settings.client(user), "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: set[str] = set()
    heard = eventually(lambda: consumer.poll(1.0), "a record")
    while heard is not None:
        found |= {header[0] for header in heard.headers() or []}
        heard = consumer.poll(1.0)
    consumer.close()
    return found


def test_a_collector_that_is_away_is_told_and_nothing_waits_for_it(installation: Installation) -> None:
    installation.write_settings(tracing={"endpoint": "http://127.0.0.1:9", "share": 1.0})
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        people = installation.folder / "people.jsonl"
        people.write_text(PEOPLE, encoding="utf-8")
        done = installation.run("publish", "customers", str(people), "--source", "crm")
        assert done.returncode == 0, done.stderr
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")

"""Traces: one from publication to commit, of those that were asked for, and without a key or a value."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from sluice.kafka.traces import Headers, Traces

UPDATES = "crm.customer-updates"


class Message:
    """As the client gives it."""

    def __init__(self, offset: int, headers: Headers | None, partition: int = 0) -> None:
        self._at = UPDATES, partition, offset
        self._headers = headers

    def headers(self) -> Headers | None:
        return self._headers

    def topic(self) -> str:
        return self._at[0]

    def partition(self) -> int:
        return self._at[1]

    def offset(self) -> int:
        return self._at[2]


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(sent: InMemorySpanExporter) -> Iterator[Traces]:
    made = Traces("test", 1.0, sent)
    yield made
    made.close()


def spans(traces: Traces, sent: InMemorySpanExporter) -> list[ReadableSpan]:
    traces.close()
    return list(sent.get_finished_spans())


def published(traces: Traces) -> Headers:
    headers, answered = traces.publishing(UPDATES)
    answered(True)
    return headers


def test_one_trace_goes_from_publication_to_the_committed_transaction(
    traces: Traces, sent: InMemorySpanExporter
) -> None:
    headers = published(traces)
    traces.received(Message(7, headers))  # type: ignore[arg-type]
    traces.committed({(UPDATES, 0): 8})
    publish, share = spans(traces, sent)
    assert (publish.name, share.name) == (f"publish {UPDATES}", f"share {UPDATES}")
    assert share.parent is not None
    assert publish.context is not None
    assert (share.parent.span_id, share.parent.trace_id) == (publish.context.span_id, publish.context.trace_id)
    assert dict(share.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.destination.name": UPDATES,
        "messaging.operation.type": "process",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 7,
    }


def test_what_is_not_committed_is_not_told(traces: Traces, sent: InMemorySpanExporter) -> None:
    headers = published(traces)
    for offset in (7, 8):
        traces.received(Message(offset, headers))  # type: ignore[arg-type]
    traces.received(Message(7, headers, partition=1))  # type: ignore[arg-type]
    traces.committed({(UPDATES, 0): 8})
    traces.forget()
    traces.committed({(UPDATES, 0): 100, (UPDATES, 1): 100})
    _, share = spans(traces, sent)
    assert dict(share.attributes or {})["messaging.kafka.offset"] == 7


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("other", b"x")],
        [("traceparent", None)],
        [("traceparent", b"\xff\xfe")],
        [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")],  # not sampled
        [("traceparent", b"00-00000000000000000000000000000000-0000000000000000-01")],
    ],
)
def test_a_record_without_a_trace_that_is_asked_for_is_like_any_other(
    traces: Traces, sent: InMemorySpanExporter, headers: Headers | None
) -> None:
    traces.received(Message(7, headers))  # type: ignore[arg-type]
    traces.committed({(UPDATES, 0): 8})
    assert spans(traces, sent) == []


def test_a_record_that_is_not_drawn_takes_no_header_along(sent: InMemorySpanExporter) -> None:
    few = Traces("test", 1e-9, sent)
    headers, answered = few.publishing(UPDATES)
    answered(True)
    assert headers == []
    assert spans(few, sent) == []


def test_what_others_trace_is_drawn_too(sent: InMemorySpanExporter) -> None:
    """A CRM that traces each of its records does not decide how many we tell of."""
    few = Traces("test", 1e-9, sent)
    few.received(Message(7, [("traceparent", b"00-0af7651916cd43ddfffffffffffffff0-b7ad6b7169203331-01")]))  # type: ignore[arg-type]
    few.committed({(UPDATES, 0): 8})
    assert spans(few, sent) == []


def test_a_collector_that_does_not_answer_is_waited_for_two_seconds_at_the_most() -> None:
    class Stuck(SpanExporter):
        def export(self, _spans: object) -> SpanExportResult:
            time.sleep(30)
            return SpanExportResult.FAILURE

    stuck = Traces("test", 1.0, Stuck())
    published(stuck)
    began = time.monotonic()
    stuck.close()
    stuck.close()
    assert time.monotonic() - began < 10


def test_what_waits_is_bounded(traces: Traces, sent: InMemorySpanExporter) -> None:
    headers = published(traces)
    for offset in range(1_000):
        traces.received(Message(offset, headers))  # type: ignore[arg-type]
    traces.committed({(UPDATES, 0): 20_000})
    assert len(traces._waiting) == 0
    assert len(spans(traces, sent)) == 501


class Away(SpanExporter):
    def export(self, _spans: object) -> SpanExportResult:
        logging.getLogger("opentelemetry.exporter").error("connection refused")
        return SpanExportResult.FAILURE


def test_a_collector_that_is_away_is_told_once_a_minute() -> None:
    with capture_logs() as said:
        traces = Traces("test", 1.0, Away())
        for _ in range(3):
            published(traces)
        traces.close()
        logging.getLogger("opentelemetry.exporter").error("connection refused")
    assert [(one["event"], one["said"]) for one in said] == [("traces_not_sent", "connection refused")]

"""Traces with OpenTelemetry, of some records: from `sluice publish` to the transaction that commits what came of them.

A context travels in the header `traceparent` of input records (W3C Trace Context, level 1). Partners' records carry
none, and no span has a key or a value: it tells where a record stands, and when. Imported only where traces are asked
for: OpenTelemetry is the extra `sluice[tracing]`. Names are those of its semantic conventions for messaging.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import cast

import structlog
from confluent_kafka import Message
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sluice.form import release

_HEADER = "traceparent"
_MOST_WAITING = 500
"""Records whose transaction is still to come; of more than these nothing is told. To tell of one takes a sixth of a
millisecond, and whoever is next waits for it."""
_EXPORT_SECONDS = 2.0
"""A collector that does not answer is waited for no longer, at the end of a process neither."""
_TELL_AGAIN_SECONDS = 60.0
Headers = list[tuple[str, str | bytes | None]]


@lru_cache
def traces(service: str, share: float, endpoint: str) -> Traces:
    """To a collector that speaks OTLP over HTTP: the same for all of a process that ask for them."""
    return Traces(service, share, _exporter(endpoint))


def _exporter(endpoint: str) -> SpanExporter:
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)


class Traces:
    """Of one process. A collector that is away is told of once a minute; only the end of the process waits, shortly."""

    def __init__(self, service: str, share: float, to: SpanExporter) -> None:
        """`share` of the published records are traced, and of those that somebody else has published in a trace."""
        _tell_complaints()
        resource = Resource.create({"service.name": service, "service.version": release()})
        self._drawn = TraceIdRatioBased(share)  # by the trace's id: who publishes and who shares draw the same
        sampler = ParentBased(self._drawn, remote_parent_sampled=self._drawn)
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(to))
        self._tracer = self._provider.get_tracer("sluice")
        self._propagator = TraceContextTextMapPropagator()
        self._waiting: dict[tuple[str, int, int], tuple[Context, int]] = {}
        self._is_closed = False
        atexit.register(self.close)

    def publishing(self, topic: str) -> tuple[Headers, Callable[[bool], None]]:
        """The headers that a record takes along, and what to call when it is known whether it was acknowledged."""
        span = self._tracer.start_span(
            f"publish {topic}",
            kind=SpanKind.PRODUCER,
            attributes=_attributes(topic) | {"messaging.operation.type": "send"},
        )
        if not span.is_recording():
            return [], lambda _acknowledged: None
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span))

        def answered(acknowledged: bool) -> None:  # noqa: FBT001 - as it is called
            span.set_attribute("sluice.acknowledged", acknowledged)
            span.end()

        return [(_HEADER, carrier[_HEADER].encode("ascii"))], answered

    def received(self, message: Message) -> None:
        """One that is to be shared."""
        if len(self._waiting) >= _MOST_WAITING:
            return
        for name, value in cast("Headers", message.headers() or []):
            if name == _HEADER and isinstance(value, bytes):
                context = self._propagator.extract({_HEADER: value.decode("ascii", "replace")})
                span = get_current_span(context).get_span_context()
                if span.trace_flags.sampled and self._draws(span.trace_id):
                    place = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
                    self._waiting[place] = context, time.time_ns()

    def committed(self, positions: Mapping[tuple[str, int], int]) -> None:
        """All records before these offsets are done with."""
        for place, (context, since) in list(self._waiting.items()):
            topic, partition, offset = place
            if offset >= positions.get((topic, partition), 0):
                continue
            del self._waiting[place]
            where: dict[str, str | int] = {
                "messaging.destination.partition.id": str(partition),
                "messaging.kafka.offset": offset,
            }
            span = self._tracer.start_span(
                f"share {topic}",
                context,
                SpanKind.CONSUMER,
                _attributes(topic) | where | {"messaging.operation.type": "process"},
                start_time=since,
            )
            span.end()

    def forget(self) -> None:
        """What was received is read again, perhaps by somebody else."""
        self._waiting.clear()

    def _draws(self, trace: int) -> bool:
        return self._drawn.should_sample(None, trace, "").decision is Decision.RECORD_AND_SAMPLE

    def close(self) -> None:
        """What was not sent yet is, if the collector answers soon. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        last = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        last.start()
        last.join(_EXPORT_SECONDS)


def _attributes(topic: str) -> dict[str, str | int]:
    return {"messaging.system": "kafka", "messaging.destination.name": topic}


class _Complaints(logging.Handler):
    """As lines of our log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        if record.created - self._told >= _TELL_AGAIN_SECONDS:
            self._told = record.created
            structlog.get_logger(__name__).warning("traces_not_sent", said=record.getMessage()[:200])


def _tell_complaints() -> None:
    library = logging.getLogger("opentelemetry")
    library.propagate = False
    library.handlers = [_Complaints()]

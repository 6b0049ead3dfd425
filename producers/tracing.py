"""A producer whose records take the context of their trace along."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import KafkaError, Message, Producer

    from sluice.kafka.traces import Traces


class TracedProducer:
    """See producers.publisher.KafkaProducer."""

    def __init__(self, producer: Producer, traces: Traces) -> None:
        self._producer = producer
        self._traces = traces

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes,
        *,
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> None:
        headers, answered = self._traces.publishing(topic)

        def heard(error: KafkaError | None, message: Message) -> None:
            answered(error is None)
            on_delivery(error, message)

        try:
            self._producer.produce(topic, value, key, headers=headers, on_delivery=heard)
        except BufferError:
            raise  # it is tried again
        except Exception:
            answered(False)
            raise

    def poll(self, timeout: float) -> int:
        return self._producer.poll(timeout)

    def flush(self, timeout: float) -> int:
        return self._producer.flush(timeout)

    def purge(self, in_queue: bool, in_flight: bool) -> None:  # noqa: FBT001 - the library's signature
        self._producer.purge(in_queue=in_queue, in_flight=in_flight)

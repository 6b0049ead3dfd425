"""The schema registry, through confluent-kafka's client; its errors in our words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from schemas import catalogue
from sluice import topics
from sluice.avro import NotAvro, Reader, Record, Undecodable, Writer, unframe
from sluice.errors import SluiceError
from sluice.model import Cause

T = TypeVar("T")

_NOT_FOUND = 404
_CONFLICT = 409
_SERVER_FAULT = 500
_ASK_AGAIN_SECONDS = 5.0


class RegistryUnavailable(SluiceError):
    """The registry does not answer; nothing is known about what was asked."""


class SchemaNotFound(SluiceError):
    """The registry answers that it has no such schema."""


class Registry:
    """Schemas by id and by subject. Schemas seen once are remembered: an id never changes its meaning.

    A schema that could not be had is asked for again only after some seconds, so that a flood of bad records asks once.
    """

    def __init__(self, connection: Mapping[str, str], timeout_seconds: float = 2.0) -> None:
        """`connection`: `url` and what else confluent-kafka's client takes. Raises SluiceError for what it refuses."""
        self._url = connection["url"]
        try:
            self._client = SchemaRegistryClient({**connection, "timeout": timeout_seconds, "max.retries": 1})
        except (ValueError, TypeError, OSError) as error:
            raise SluiceError(f"Cannot connect to the schema registry: {error}.") from None
        self._texts: dict[int, str] = {}
        self._readers: dict[int, Reader] = {}
        self._missing: dict[int, float] = {}
        self._silent_since = float("-inf")

    def text(self, schema_id: int) -> str:
        """The schema with this id, JSON text. Raises SchemaNotFound or RegistryUnavailable."""
        if schema_id not in self._texts:
            schema = self._ask_patiently(schema_id)
            self._texts[schema_id] = _text(schema)
        return self._texts[schema_id]

    def decode(self, value: bytes | None) -> Record:
        """The record in a framed value. Raises Undecodable, or RegistryUnavailable for a schema not seen before."""
        schema_id, payload = unframe(value)
        return self.reader(schema_id).read(payload)

    def reader(self, schema_id: int) -> Reader:
        """Of records written with this schema. Raises Undecodable for one that nobody knows, RegistryUnavailable."""
        reader = self._readers.get(schema_id)
        if reader is None:
            try:
                reader = self._readers[schema_id] = Reader(self.text(schema_id))
            except (SchemaNotFound, NotAvro):
                raise Undecodable(Cause.SCHEMA_UNKNOWN) from None
        return reader

    def latest(self, subject: str) -> tuple[int, str]:
        """Id and text of a subject's newest version. Raises SchemaNotFound or RegistryUnavailable."""
        found = self._ask(f"subject {subject}", lambda: self._client.get_latest_version(subject))
        if found.schema_id is None or found.schema is None:
            raise SchemaNotFound(f"The schema registry at {self._url} has no schema under the subject {subject}.")
        return found.schema_id, _text(found.schema)

    def id_of(self, subject: str, text: str) -> int:
        """The id of exactly this schema under this subject. Raises SchemaNotFound or RegistryUnavailable."""
        schema = Schema(text, "AVRO")
        found = self._ask(
            f"such schema under the subject {subject}", lambda: self._client.lookup_schema(subject, schema)
        )
        if found.schema_id is None:
            raise SchemaNotFound(f"The schema registry at {self._url} has no such schema under the subject {subject}.")
        return found.schema_id

    def register(self, subject: str, text: str, compatibility: str) -> int:
        """Register a schema and set the subject's compatibility; idempotent. Raises SluiceError when it is refused."""
        schema = Schema(text, "AVRO")
        schema_id = self._ask(
            f"schema for the subject {subject}", lambda: self._client.register_schema(subject, schema)
        )
        self.set_compatibility(subject, compatibility)
        return schema_id

    def subjects(self) -> list[str]:
        """Names of all. Raises RegistryUnavailable."""
        return list(self._ask("subjects", self._client.get_subjects))

    def has(self, subject: str, text: str) -> bool:
        """Whether this schema is one of the subject's versions. Raises RegistryUnavailable."""
        try:
            self.id_of(subject, text)
        except SchemaNotFound:
            return False
        return True

    def versions(self, subject: str) -> tuple[str, ...]:
        """The texts of all versions, the oldest first. Raises RegistryUnavailable."""
        numbers = self._ask(f"subject {subject}", lambda: self._client.get_versions(subject))
        return tuple(self._version(subject, number) for number in sorted(numbers))

    def _version(self, subject: str, number: int) -> str:
        found = self._ask(f"version {number} of {subject}", lambda: self._client.get_version(subject, number))
        return _text(found.schema) if found.schema is not None else ""

    def compatibility(self, subject: str) -> str:
        """The subject's own level; empty if it has none. Raises RegistryUnavailable."""
        try:
            return str(self._ask(f"subject {subject}", lambda: self._client.get_compatibility(subject)))
        except SchemaNotFound:
            return ""

    def set_compatibility(self, subject: str, level: str) -> None:
        """Idempotent. Raises SluiceError when it is refused."""

        def ask() -> None:
            try:
                self._client.set_compatibility(subject, level)
            except SchemaRegistryError as error:
                if error.http_status_code != _CONFLICT:
                    raise
                # Apicurio refuses the second of two who set a subject's first level; now there is one to change.
                self._client.set_compatibility(subject, level)

        self._ask(f"subject {subject}", ask)

    def delete(self, subject: str) -> None:
        """Its versions are no longer found under it; ids that records name stay readable. Raises SluiceError."""
        try:
            self._ask(f"subject {subject}", lambda: self._client.delete_subject(subject))
        except SchemaNotFound:
            return

    def close(self) -> None:
        self._client.close()

    def _ask_patiently(self, schema_id: int) -> Schema:
        now = time.monotonic()
        if now < self._missing.get(schema_id, float("-inf")) + _ASK_AGAIN_SECONDS:
            raise SchemaNotFound(f"The schema registry at {self._url} has no schema {schema_id}.")
        if now < self._silent_since + _ASK_AGAIN_SECONDS:
            raise RegistryUnavailable(f"The schema registry at {self._url} did not answer a moment ago.")
        try:
            return self._ask(f"schema {schema_id}", lambda: self._client.get_schema(schema_id))
        except SchemaNotFound:
            self._missing[schema_id] = now
            raise
        except RegistryUnavailable:
            self._silent_since = now
            raise

    def _ask(self, what: str, question: Callable[[], T]) -> T:
        try:
            return question()
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise SchemaNotFound(f"The schema registry at {self._url} has no {what}.") from None
            if error.http_status_code < _SERVER_FAULT:
                raise SluiceError(f"The schema registry refuses the {what}: {error.error_message}.") from None
            raise RegistryUnavailable(f"The schema registry at {self._url} fails: {error.error_message}.") from None
        except Exception as error:
            raise RegistryUnavailable(
                f"The schema registry at {self._url} does not answer ({type(error).__name__}): is it running?"
            ) from error


def _text(schema: Schema) -> str:
    if schema.schema_str is None:
        raise SchemaNotFound("The schema registry answered without a schema.")
    return schema.schema_str


def registered_writer(registry: Registry, topic: str, name: str) -> Writer:
    """Of the schema of this name in `schemas`, for this topic. Raises SluiceError if it is not registered there."""
    schema = catalogue.text(name)
    try:
        return Writer(schema, registry.id_of(topics.subject(topic), schema))
    except SchemaNotFound as error:
        raise SluiceError(f"{error} Run `sluice apply` first.") from None

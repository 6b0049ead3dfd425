"""The topics as an AsyncAPI 3.0 document, seen from the partner's side: it receives, and sends what it returns."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sluice import topics
from sluice.avro import Json
from sluice.contract.sentence import sentence
from sluice.model import PartnerId
from sluice.partner_kit.substance import CERTIFICATE, Substance

_AVRO = "application/vnd.apache.avro+json;version=1.9.0"
"""The name under which AsyncAPI 3.0 knows Avro."""
MECHANISMS = {"SCRAM-SHA-512": "scramSha512", "SCRAM-SHA-256": "scramSha256", "PLAIN": "plain", CERTIFICATE: "X509"}
_NESTED = ("type", "fields", "items", "values")
_KEPT = ("cleanup.policy", "retention.ms", "delete.retention.ms")
_MESSAGES = {
    "customers": ("customer", "A customer that you may hold, or null: you no longer may, delete it."),
    "control": ("control", "What you have to do about a customer, and by when."),
    "returns": ("return", "What you say back: that a recall is carried out, or what you have learnt about a customer."),
}


def document(substance: Substance) -> Json:
    contract = substance.checked.contract
    channels = {"customers": substance.customers, "control": substance.control, "returns": substance.returns}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Customers shared with {contract.name}",
            "version": f"{substance.schemas[substance.customers].schema_id}",
            "description": f"{sentence(contract)} Questions: {substance.contact}.",
        },
        "defaultContentType": "avro/binary",
        "servers": dict(_servers(substance)),
        "channels": {name: _channel(name, topic, substance) for name, topic in channels.items()},
        "operations": {
            name: {
                "action": "send" if name == "returns" else "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": _MESSAGES[name][1],
                "bindings": {"kafka": _group(substance.checked.partner) if name != "returns" else {}},
            }
            for name in channels
        },
        "components": {
            "messages": {_MESSAGES[name][0]: _message(name, topic, substance) for name, topic in channels.items()},
            "securitySchemes": {"credentials": {"type": MECHANISMS[substance.connection.mechanism]}},
        },
    }


def _servers(substance: Substance) -> list[tuple[str, Json]]:
    connection = substance.connection
    protocol = "kafka-secure" if connection.protocol.endswith("SSL") else "kafka"
    registry = {"schemaRegistryUrl": connection.registry_url, "schemaRegistryVendor": "confluent"}
    server = {
        "protocol": protocol,
        "security": [{"$ref": "#/components/securitySchemes/credentials"}],
        "bindings": {"kafka": registry},
    }
    return [(f"kafka{number}", {"host": host, **server}) for number, host in enumerate(connection.hosts, 1)]


def _channel(name: str, topic: str, substance: Substance) -> Json:
    message = _MESSAGES[name][0]
    return {
        "address": topic,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": substance.partitions,
                "topicConfiguration": dict(_configuration(substance.topics[topic].settings)),
            }
        },
    }


def _configuration(settings: Mapping[str, str]) -> list[tuple[str, Json]]:
    return [
        (name, [settings[name]] if name == "cleanup.policy" else int(settings[name]))
        for name in _KEPT
        if name in settings
    ]


def _message(name: str, topic: str, substance: Substance) -> Json:
    return {
        "name": _MESSAGES[name][0],
        "summary": _MESSAGES[name][1],
        "payload": {"schemaFormat": _AVRO, "schema": _with_simple_names(json.loads(substance.schemas[topic].text))},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "Your pseudonym of the customer."},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
            }
        },
    }


def _group(partner: PartnerId) -> Json:
    return {"groupId": {"type": "string", "pattern": f"^{topics.partner_group(partner, '')}".replace(".", r"\.")}}


def _with_simple_names(avro: Json) -> Json:
    """The same schema with every full name in two: AsyncAPI's own schema of Avro knows no dots in names."""
    if isinstance(avro, list):
        return [_with_simple_names(branch) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    found = {key: _with_simple_names(value) if key in _NESTED else value for key, value in avro.items()}
    namespace, dot, name = str(avro.get("name", "")).rpartition(".")
    return {**found, "name": name, "namespace": namespace} if dot else found

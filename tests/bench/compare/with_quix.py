"""The same work as its users would write it with Quix Streams: join, three projections, pseudonyms, durable state.

    python with_quix.py FIELD.json GROUP

Runs with the packages of requirements.txt beside it, not with ours. Exactly once.
"""

from __future__ import annotations

import base64
import hmac
import json
import sys
from pathlib import Path
from typing import Any

from quixstreams import Application, State
from quixstreams.kafka import ConnectionConfig
from quixstreams.models import SchemaRegistryClientConfig, TopicConfig
from quixstreams.models.serializers.avro import AvroDeserializer, AvroSerializer

FIELD = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
PARTNERS: dict[str, dict[str, Any]] = FIELD["partners"]
BY_PURPOSE = {one["purpose"]: name for name, one in PARTNERS.items()}


def shared(value: dict[str, Any], key: bytes, _timestamp: int, _headers: object, state: State) -> list[dict[str, Any]]:
    """What each partner gets of an update; a consent event is only remembered."""
    if "record_id" in value:
        state.set(BY_PURPOSE[value["purpose"]], value["state"] == "GIVEN")
        return []
    state.set("profile", value)
    return [
        {"partner": name, "record": projected(name, key, value)} for name in PARTNERS if state.get(name, default=False)
    ]


def projected(partner: str, key: bytes, profile: dict[str, Any]) -> dict[str, Any]:
    fields = PARTNERS[partner]["fields"]
    tag = hmac.digest(bytes.fromhex(PARTNERS[partner]["key"]), key, "sha256")[:16]
    pseudonym = base64.urlsafe_b64encode(tag).rstrip(b"=").decode()
    return {"customer_id": pseudonym, **{name: profile[name] for name in fields}}


def main() -> None:
    registry = SchemaRegistryClientConfig(url=FIELD["registry"])
    app = Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(FIELD["client"], ignore_extras=True),
        consumer_group=sys.argv[2],
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        state_dir=FIELD["state"] + "/quix",
        producer_extra_config={"compression.type": "lz4"},
        loglevel="WARNING",
    )
    read = AvroDeserializer(schema_registry_client_config=registry)
    consents = app.dataframe(app.topic(FIELD["consents"], value_deserializer=read))
    updates = app.dataframe(app.topic(FIELD["updates"], value_deserializer=read))
    found = updates.concat(consents).apply(shared, stateful=True, metadata=True, expand=True)
    for name, one in PARTNERS.items():
        write = AvroSerializer(one["schema"], schema_registry_client_config=registry)
        config = TopicConfig(num_partitions=FIELD["partitions"], replication_factor=1)
        topic = app.topic(f"quix.{name}", key_serializer="string", value_serializer=write, config=config)
        own = found[found.apply(lambda value, name=name: value["partner"] == name)]
        own.apply(lambda value: value["record"]).to_topic(topic, key=lambda record: record["customer_id"])
    app.run()


if __name__ == "__main__":
    main()

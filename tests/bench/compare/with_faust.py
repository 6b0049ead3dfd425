"""The same work as its users would write it with Faust: join, three projections, pseudonyms, durable state.

    python with_faust.py FIELD.json GROUP [consents]

Runs with the packages of requirements.txt beside it, not with ours. At least once: its exactly-once mode is broken in
issues that are open. With `consents` it reads only these, for they have to be there before the updates.
"""

from __future__ import annotations

import base64
import hmac
import json
import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import faust

FIELD = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
PARTNERS: dict[str, dict[str, Any]] = FIELD["partners"]
BY_PURPOSE = {one["purpose"]: name for name, one in PARTNERS.items()}
CLIENT = FIELD["client"]
PROFILE, CONSENT = (fastavro.parse_schema(FIELD["schemas"][name]) for name in ("updates", "consents"))
SCHEMAS = {name: fastavro.parse_schema(one["schema"]) for name, one in PARTNERS.items()}
HEADS = {name: struct.pack(">bI", 0, one["schema_id"]) for name, one in PARTNERS.items()}

app = faust.App(
    sys.argv[2],
    broker=f"kafka://{CLIENT['bootstrap.servers']}",
    broker_credentials=faust.SASLCredentials(
        username=CLIENT["sasl.username"], password=CLIENT["sasl.password"], mechanism=CLIENT["sasl.mechanism"]
    ),
    broker_commit_interval=1.0,
    producer_compression_type="lz4",
    store="rocksdb://",
    datadir=FIELD["state"] + "/faust",
    topic_partitions=FIELD["partitions"],
    topic_replication_factor=1,
    web_enabled=False,
    key_serializer="raw",
    value_serializer="raw",
)
consents = app.topic(FIELD["consents"], key_type=bytes, value_type=bytes)
updates = app.topic(FIELD["updates"], key_type=bytes, value_type=bytes)
given = app.Table("given", key_type=bytes, value_type=bytes, partitions=FIELD["partitions"])
profiles = app.Table("profiles", key_type=bytes, value_type=bytes, partitions=FIELD["partitions"])
shared = {name: app.topic(f"faust.{name}", key_type=bytes, value_type=bytes) for name in PARTNERS}


async def remember(stream: Any) -> None:  # noqa: ANN401
    async for key, value in stream.items():
        event = read(CONSENT, value)
        before = set((given.get(key) or b"").decode().split())
        change = before.add if event["state"] == "GIVEN" else before.discard
        change(BY_PURPOSE[event["purpose"]])
        given[key] = " ".join(sorted(before)).encode()


async def share(stream: Any) -> None:  # noqa: ANN401
    async for key, value in stream.items():
        profiles[key] = value
        allowed = (given.get(key) or b"").decode().split()
        profile = read(PROFILE, value)
        for name in allowed:
            record = projected(name, key, profile)
            await shared[name].send(key=record["customer_id"].encode(), value=written(name, record))


def read(schema: Any, value: bytes) -> Any:  # noqa: ANN401
    return fastavro.schemaless_reader(BytesIO(value[5:]), schema, None)


def written(partner: str, record: dict[str, Any]) -> bytes:
    target = BytesIO()
    fastavro.schemaless_writer(target, SCHEMAS[partner], record)
    return HEADS[partner] + target.getvalue()


def projected(partner: str, key: bytes, profile: dict[str, Any]) -> dict[str, Any]:
    tag = hmac.digest(bytes.fromhex(PARTNERS[partner]["key"]), key, "sha256")[:16]
    pseudonym = base64.urlsafe_b64encode(tag).rstrip(b"=").decode()
    return {"customer_id": pseudonym, **{name: profile[name] for name in PARTNERS[partner]["fields"]}}


if __name__ == "__main__":
    app.agent(consents)(remember)
    if sys.argv[3:] != ["consents"]:
        app.agent(updates)(share)
    sys.argv[1:] = ["worker", "--without-web", "--loglevel=warn"]
    app.main()

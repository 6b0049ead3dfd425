"""Keeps a table of the customers that are shared with you, carries out recalls, and acknowledges them.

    python consumer.py NAME.properties [--once]         until Ctrl-C, or once to the end of what is there: for cron

The table `customers` of customers.db (SQLite; others may read it): pseudonym, record as JSON, restricted (keep, do not
use). It may be killed at any time. It prints a line for each thing done, and never a value. Its rules:
1. Only what is committed is read; records and the offsets behind them are written together: a kill doubles nothing.
2. A null deletes. What a control message asks for is done when the customers were read to the end that stood after it
   came: its null is read by then, and what is newer than the message was shared again since, and stays.
3. It is acknowledged when the deletion has reached the file itself. Said twice, it has the same return_id.
4. Nulls vanish after a week: whoever was away for longer reads all into a fresh table, and swaps it for the old one.
"""

import io
import json
import os
import sqlite3
import sys
import time
import urllib.request
from functools import cache, partial
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

NULLS_STAY_SECONDS = 7 * 24 * 60 * 60
DELETE, OTHER = ("WITHDRAW", "ERASE", "CONTRACT_ENDED"), ("RESTRICT", "RECTIFY")
COLUMNS = "(pseudonym TEXT PRIMARY KEY, record TEXT NOT NULL, written_at INTEGER NOT NULL, restricted INTEGER NOT NULL)"
TABLES = f"""
PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON;  -- others read while this writes; what is deleted is overwritten
CREATE TABLE IF NOT EXISTS customers {COLUMNS};
CREATE TABLE IF NOT EXISTS offsets (topic TEXT, number INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, number));
CREATE TABLE IF NOT EXISTS due (decision_id TEXT PRIMARY KEY, pseudonym TEXT, type TEXT, said_at INTEGER);
CREATE TABLE IF NOT EXISTS last_read AS SELECT CAST(strftime('%s', 'now') AS INTEGER) AS at;
"""
say = partial(print, flush=True)


class Damaged(Exception): ...  # this message cannot be used; holds no value


class Copy:
    def __init__(self, name: str, client: dict[str, str], registry: str, db: sqlite3.Connection) -> None:
        own = "partner." + name
        self.customers, self.control, self.returns = own + ".customers", own + ".control", own + ".returns"
        reads = {"group.id": own + ".consumer", "isolation.level": "read_committed", "enable.auto.commit": "false"}
        tells = {"auto.offset.reset": "error", "enable.partition.eof": "true", "fetch.wait.max.ms": "50"}
        self.consumer = Consumer({**client, **reads, **tells})
        self.asker = Consumer({**client, **reads, "isolation.level": "read_uncommitted"})  # for ends alone
        self.producer = Producer({**client, "enable.idempotence": "true", "partitioner": "murmur2_random"})
        self.registry, self.db, self.skipped = registry, db, 0
        db.executescript(TABLES)

    def begin(self) -> None:
        """Go on where the table ends; or with a fresh one, at the customers' beginning."""
        (last_read,) = self.db.execute("SELECT at FROM last_read").fetchone()
        self.table = "fresh" if time.time() - last_read > NULLS_STAY_SECONDS else "customers"
        self.db.executescript(f"DROP TABLE IF EXISTS fresh; CREATE TABLE fresh {COLUMNS};")
        kept = self.db.execute("SELECT * FROM offsets WHERE topic = ? OR ? != 'fresh'", [self.control, self.table])
        self.reached = {(topic, number): end for topic, number, end in kept}
        found = self.consumer.list_topics(timeout=10).topics
        if not found.keys() >= {self.customers, self.control}:
            raise OSError("Kafka does not show both topics")
        places = [(name, number) for name in (self.customers, self.control) for number in found[name].partitions]
        self.places = [TopicPartition(*place, self.reached.get(place, OFFSET_BEGINNING)) for place in places]
        self.consumer.assign(self.places)
        self.set_goal()

    def set_goal(self) -> None:
        """What is due now, and the last offsets after that: who has passed them has read the nulls of what is due."""
        self.goal_at, self.due = time.time(), self.db.execute("SELECT * FROM due").fetchall()
        self.goal = {(at.topic, at.partition): self.asker.get_watermark_offsets(at, 10)[1] for at in self.places}

    def step(self) -> bool:
        """Read, and do what is due. Whether nothing is left of what was there when the goal was set."""
        if time.time() - self.goal_at > NULLS_STAY_SECONDS:
            self.begin()
        messages = self.consumer.consume(1000, 0.5)
        with self.db:
            for message in messages:
                self.take(message)
            is_there = all(self.reached.get(at, 0) >= end for at, end in self.goal.items())
            if is_there:
                self.carry_out()
            if messages:
                keep = {at: end for at, end in self.reached.items() if self.table != "fresh" or at[0] == self.control}
                self.db.executemany("REPLACE INTO offsets VALUES (?, ?, ?)", [(*at, end) for at, end in keep.items()])
        if is_there and self.due:
            self.acknowledge()
        if is_there:
            self.set_goal()
        return is_there and not self.due

    def take(self, message: Message) -> None:
        topic, number, offset, error = str(message.topic()), message.partition(), message.offset() or 0, message.error()
        key, value, at = (message.key() or b"").decode("utf-8", "replace"), message.value(), message.timestamp()[1]
        if error and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        self.reached[topic, number] = offset if error else offset + 1
        if error:
            return
        try:
            said = {} if value is None else decoded(value, self.registry)
            if topic == self.customers and value is None:
                self.db.execute(f"DELETE FROM {self.table} WHERE pseudonym = ?", [key])
            elif topic == self.customers:
                record = json.dumps(said, ensure_ascii=False, default=str)
                self.db.execute(f"REPLACE INTO {self.table} VALUES (?, ?, ?, 0)", [key, record, at])
            elif said.get("type") in DELETE + OTHER:
                self.db.execute("REPLACE INTO due VALUES (?, ?, ?, ?)", [said["decision_id"], key, said["type"], at])
            else:
                raise Damaged("it asks for what this program does not know")
        except Damaged as damage:
            self.skipped += 1
            say(f"skipped {topic}/{number}@{offset}: {damage}. Tell us the place.")

    def carry_out(self) -> None:
        if self.table == "fresh":
            restricted = "SELECT pseudonym, written_at FROM customers WHERE restricted"
            self.db.execute(f"UPDATE fresh SET restricted = 1 WHERE (pseudonym, written_at) IN ({restricted})")
            self.db.execute("DROP TABLE customers")
            self.db.execute("ALTER TABLE fresh RENAME TO customers")
            self.table = "customers"
            say("the fresh table takes the place of the old one")
        self.db.execute("UPDATE last_read SET at = ? WHERE at < ?", [int(self.goal_at), int(self.goal_at) - 60])
        todo = dict.fromkeys(DELETE, "DELETE FROM customers") | {"RESTRICT": "UPDATE customers SET restricted = 1"}
        for _, key, kind, said_at in self.due:
            if kind in todo:
                self.db.execute(f"{todo[kind]} WHERE pseudonym = ? AND written_at < ?", [key, said_at])

    def acknowledge(self) -> None:
        """What was due is done: say so once it has reached the file. Else it stays due."""
        if self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise OSError("somebody reads the table, and what was deleted is not out of the file yet")
        (avro, number), refused = schema(f"{self.registry}/subjects/{self.returns}-value/versions/latest"), []
        frame, now = b"\0" + number.to_bytes(4, "big"), {"type": "ACKNOWLEDGED", "at": int(time.time() * 1000)}
        for decision, key, _, _ in self.due:
            said = {**now, "return_id": f"acknowledge-{decision}", "decision_id": decision, "customer": key}
            fastavro.schemaless_writer(data := io.BytesIO(), avro, said)
            value = frame + data.getvalue()
            self.producer.produce(self.returns, value, key, on_delivery=lambda error, _: refused.append(error))
        if self.producer.flush(30) or any(refused):
            raise OSError("acknowledgements were not taken")
        with self.db:
            self.db.executemany("DELETE FROM due WHERE decision_id = ?", [one[:1] for one in self.due])
        say(*(f"{kind} {decision} is done and acknowledged" for decision, _, kind, _ in self.due), sep="\n")


def decoded(value: bytes, registry: str) -> Any:
    """A zero byte, the schema's id in four, the record. Raises Damaged, and OSError while the registry is away."""
    (avro, _), data = schema(f"{registry}/schemas/ids/{int.from_bytes(value[1:5], 'big')}"), io.BytesIO(value[5:])
    try:
        record = fastavro.schemaless_reader(data, avro, None)
    except Exception as error:
        raise Damaged(f"it is no record of its schema ({type(error).__name__})") from None
    if value[:1] != b"\0" or data.read(1):
        raise Damaged("it is not one record and nothing else")
    return record


@cache
def schema(url: str) -> tuple[Any, int]:  # with its id, unless that is what was asked with
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
    except OSError as error:
        raise (Damaged("the registry has no such schema") if getattr(error, "code", 0) == 404 else error) from None
    return fastavro.parse_schema(json.loads(found["schema"])), found.get("id", 0)


def settings(path: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in Path(path).read_text().splitlines() if line and line[0] != "#")


def main(properties: str, *flags: str) -> int:
    os.umask(0o077)
    _alone = sqlite3.connect("customers.db.lock", timeout=0).execute("BEGIN EXCLUSIVE")  # where a second one ends
    client, registry = settings(properties), settings("registry.properties")["url"]
    name = client.get("sasl.username", Path(properties).stem)  # who logs in with a certificate is called as its file
    copy = Copy(name, client, registry, sqlite3.connect("customers.db"))
    while True:
        try:
            copy.begin()
            while not copy.step() or "--once" not in flags:
                pass
            return min(copy.skipped, 1)
        except KeyboardInterrupt:
            return 0
        except (KafkaException, OSError) as error:
            say(f"{error}: trying again")
            if isinstance(error, KafkaException) and error.args[0].code() == KafkaError._AUTO_OFFSET_RESET:
                copy.db.executescript("DELETE FROM offsets; UPDATE last_read SET at = 0")  # what comes next is gone
            time.sleep(2)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

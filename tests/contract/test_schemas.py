"""Holds every rule of schemas/README.md, over every schema and version that exists now or later."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING, Any, get_args

import avro.compatibility
import avro.io
import avro.schema
import fastavro
import pytest

from schemas import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = Any
Record = dict[str, Any]

EVERY_VERSION = [(name, version) for name in catalogue.names() for version in catalogue.versions(name)]
CATEGORIES = frozenset(
    line
    for line in files("schemas").joinpath("data_categories.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
NOON = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)

ADDRESS = {
    "street": "千代田1-1",
    "street2": "皇居東御苑",
    "city": "千代田区",
    "state": "東京都",
    "postal_code": "100-0001",
    "country": "JP",
}

FULLEST: dict[str, Record] = {
    "customer_profile": {
        "customer_id": "dell-crm:000123",
        "source_system": "dell-crm",
        "title": "様",
        "given_name": "花子",
        "middle_name": "Marie",
        "family_name": "佐藤",
        "given_name_kana": "ハナコ",
        "family_name_kana": "サトウ",
        "email": "hanako@example.com",
        "phone": "+81355501234",
        "mobile": "+819055501234",
        "preferred_language": "ja",
        "birth_date": date(1968, 2, 29),  # before the epoch: a negative number of days
        "gender": "FEMALE",
        "address": ADDRESS,
        "billing_address": {**ADDRESS, "country": "US"},
        "location": {"latitude": 35.685, "longitude": -139.7528},
        "residence": "US-CA",
        "collected_in": "JP",
        "company": {"company": "星カード株式会社", "department": "総務部", "role": "部長"},
        "loyalty": {"program": "hoshi", "tier": "PLATINUM", "points": 2**40, "member_since": date(2001, 4, 1)},
        "segments": ["frequent", "seasonal"],
        "identifiers": [{"scheme": "erp", "value": "A-1"}, {"scheme": "pos", "value": "B-2"}],
        "attributes": {"shoe_size": "23.5", "store": "Ginza"},
        "preferences": {"newsletter": True, "catalogue": False},
        "lifetime_value": Decimal("1250.75"),
        "note": "Prefers the afternoon.",
        "created_at": NOON,
        "restricted": False,
        "deceased": False,
        "rectified_at": NOON,
        "updated_at": NOON,
    },
    "consent_event": {
        "record_id": "019ab0a4-8c00-7000-8000-000000000001",
        "schema_version": "1",
        "subject_id": "dell-crm:000123",
        "subject_identifiers": [{"type": "email", "value_hmac": "0f" * 32}],
        "controller_id": "hoshi-kk",
        "brand_id": "hoshi",
        "purpose": "marketing.communications.email",
        "recipient_scope": {"category": "partner", "partner_ids": ["hoshi-card", "sora-air"]},
        "data_scope": ["user.name", "user.contact.email"],
        "channel": "email",
        "state": "GIVEN",
        "expression": "explicit",
        "actor": "guardian",
        "lawful_basis": "consent",
        "jurisdiction": "US-CA",
        "valid_from": NOON,
        "valid_until": NOON.replace(year=2036),
        "event_time": NOON,
        "recorded_at": NOON,
        "source_system": "preference-centre",
        "sequence": 7,
        "notice": {
            "id": "privacy-2026",
            "version": "3",
            "language": "ja",
            "sha256": "a1" * 32,
            "names_recipients": ["hoshi-card"],
            "names_recipient_kinds": ["partner", "processor"],
            "covers_purposes": ["marketing.communications.email"],
            "covers_categories": ["*"],
        },
        "collection_method": "web_form",
        "evidence_ref": "forms/2026/11/1",
        "signal": {"type": "gpp", "raw": "DBABM"},
        "guardian_ref": "g-1",
        "supersedes": "019ab0a4-8c00-7000-8000-000000000000",
        "confirmed": True,
        "gpc_conflict_ack": True,
    },
    "disclosure": {
        "covers": [{"topic": "crm.customer-updates", "offset": 2**33}, {"topic": "crm.consent-events", "offset": 0}],
        "decided_at": NOON,
        "contract_set": "c0" * 32,
        "entries": [
            {
                "partner": "hoshi-card",
                "action": "RECALLED",
                "reason": "withdrawn",
                "pseudonym": "AAECAwQFBgcICQoLDA0ODw",
                "key_epoch": 1,
                "contract": "c1" * 32,
                "fields": ["given_name", "address.postal_code"],
                "digest": bytes(range(16)),
                "consents": ["019ab0a4-8c00-7000-8000-000000000001"],
                "rules": ["EU-R3"],
                "expires_at": NOON,
                "rectified_at": NOON,
                "decision_id": "d-1",
            },
        ],
    },
    "rejected": {
        "topic": "crm.customer-updates",
        "partition": 3,
        "offset": 41,
        "cause": "undecodable",
        "schema_id": 12,
        "partner": "hoshi-card",
        "detected_at": NOON,
    },
    "control": {
        "decision_id": "d-1",
        "type": "ERASE",
        "customer": "AAECAwQFBgcICQoLDA0ODw",
        "action": "Delete this customer and tell everybody you passed the data to.",
        "deadline": NOON.replace(day=26),
        "issued_at": NOON,
    },
    "partner_return": {
        "return_id": "r-1",
        "type": "CORRECTION",
        "decision_id": "d-1",
        "customer": "AAECAwQFBgcICQoLDA0ODw",
        "other_customer": "DwAOAQ0CDAMLBAoFCQYIBw",
        "channel": "postal",
        "corrections": [{"field": "address_city", "value": "千代田区"}],
        "at": NOON,
    },
    "accepted_return": {
        "topic": "partner.hoshi-card.returns",
        "partition": 3,
        "offset": 2**33,
        "partner": "hoshi-card",
        "return_id": "6d2f5c0e-2a52-5f31-a1a8-6f3c1a54d1de",
        "type": "DUPLICATE",
        "pseudonym": "AAECAwQFBgcICQoLDA0ODw",
        "decision_id": "d-1",
        "other_customer": "dell-crm:000124",
        "fields": ["address_city"],
        "at": NOON,
        "received_at": NOON,
    },
    "provider_request": {
        "request_id": "6d2f5c0e-2a52-5f31-a1a8-6f3c1a54d1de",
        "task": "operations.address_hygiene",
        "customer": "AAECAwQFBgcICQoLDA0ODw",
        "decision_id": "d-1",
        "campaign": "spring-2027",
        "segment": "frequent",
        "issued_at": NOON,
        "expires_at": NOON.replace(day=26),
    },
    "provider_reply": {
        "reply_id": "r-1",
        "request_id": "6d2f5c0e-2a52-5f31-a1a8-6f3c1a54d1de",
        "customer": "AAECAwQFBgcICQoLDA0ODw",
        "values": [{"field": "street", "value": "千代田1-1", "confidence": 0.9}],
    },
    "enrichment": {
        "appended": [
            {
                "field": "street",
                "category": "user.contact.address.street",
                "value": "千代田1-1",
                "source": "append:adresso",
                "obtained_at": NOON,
                "purpose_limits": ["operations.address_hygiene"],
                "licence": "G-NAF",
                "licence_until": NOON,
                "confidence": 0.9,
                "request_id": "6d2f5c0e-2a52-5f31-a1a8-6f3c1a54d1de",
            },
        ],
    },
}

# What a writer must give; a new version may add nothing to this.
REQUIRED = {
    "customer_profile": {"customer_id", "updated_at"},
    "consent_event": {
        "record_id",
        "subject_id",
        "purpose",
        "state",
        "expression",
        "actor",
        "event_time",
        "recorded_at",
    },
    "disclosure": {"decided_at", "contract_set"},
    "rejected": {"topic", "partition", "offset", "cause", "detected_at"},
    "control": {"decision_id", "type", "customer", "action", "deadline", "issued_at"},
    "partner_return": {"return_id", "type", "customer", "at"},
    "accepted_return": {
        "topic",
        "partition",
        "offset",
        "partner",
        "return_id",
        "type",
        "pseudonym",
        "at",
        "received_at",
    },
    "provider_request": {"request_id", "task", "issued_at", "expires_at"},
    "provider_reply": {"reply_id", "request_id", "customer", "values"},
    "enrichment": set(),
}


@dataclass(frozen=True, slots=True)
class SchemaField:
    """A field anywhere in a schema, under its dotted path, with references to named types replaced by the types."""

    path: str
    declaration: Mapping[str, Json]
    type: Json
    inner: tuple[SchemaField, ...]


@pytest.fixture(params=EVERY_VERSION, ids=lambda pair: f"{pair[0]}-v{pair[1]}")
def named(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A schema's name, and the text of one of its versions."""
    name, version = request.param
    return name, catalogue.text(name, version)


# --- the catalogue


def test_names_are_the_folders() -> None:
    folders = {entry.name for entry in files("schemas").iterdir() if entry.is_dir()} - {"__pycache__"}
    assert catalogue.names() == sorted(folders)


@pytest.mark.parametrize("name", catalogue.names())
def test_versions_count_from_one_and_the_last_is_current(name: str) -> None:
    found = catalogue.versions(name)
    assert found == list(range(1, len(found) + 1))
    assert catalogue.text(name) == catalogue.text(name, found[-1])


def test_unknown_names_and_versions_are_told_what_exists() -> None:
    with pytest.raises(catalogue.UnknownSchemaError, match=r"'customer'; there are .*customer_profile"):
        catalogue.text("customer")
    with pytest.raises(LookupError):
        catalogue.versions("../schemas/control")
    with pytest.raises(LookupError):
        catalogue.compatibility("__pycache__")
    with pytest.raises(catalogue.UnknownSchemaError, match=r"control has no version 0, only \[1"):
        catalogue.text("control", 0)


def test_readme_states_the_compatibility_that_the_catalogue_gives() -> None:
    readme = files("schemas").joinpath("README.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", readme, flags=re.MULTILINE))
    assert stated == {name: catalogue.compatibility(name) for name in catalogue.names()}


# --- both libraries


def test_both_libraries_write_the_fullest_record_to_the_same_bytes(named: tuple[str, str]) -> None:
    name, text = named
    record = _cut(_fields(text), FULLEST[name])
    assert not list(_gaps(_fields(text), record)), "the example must fill everything"
    encoded = _write_fastavro(text, record)
    assert _write_avro(text, record) == encoded
    assert _read_avro(text, encoded) == _read_fastavro(text, encoded) == record


def test_both_libraries_write_a_minimal_record_to_the_same_bytes(named: tuple[str, str]) -> None:
    name, text = named
    required = {field.path for field in _fields(text) if "default" not in field.declaration}
    assert required == REQUIRED[name]
    encoded = _write_fastavro(text, {key: FULLEST[name][key] for key in required})
    filled = _read_fastavro(text, encoded)  # avro's writer does not fill defaults in, so it gets them filled
    assert _read_avro(text, encoded) == filled
    assert _write_avro(text, filled) == encoded


@pytest.mark.parametrize(
    "value", ["0.00", "0.01", "-0.01", "1.28", "-1.28", "327.68", "9999999999.99", "-9999999999.99"]
)
def test_both_libraries_write_decimals_alike(value: str) -> None:
    text = catalogue.text("customer_profile")
    record = FULLEST["customer_profile"] | {"lifetime_value": Decimal(value)}
    encoded = _write_fastavro(text, record)
    assert _write_avro(text, record) == encoded
    assert _read_avro(text, encoded) == _read_fastavro(text, encoded) == record


@pytest.mark.parametrize(
    ("name", "path", "outsider"),
    [
        ("consent_event", "state", "PERHAPS"),
        ("control", "type", "FORGET"),
        ("partner_return", "type", "GONE"),
        ("customer_profile", "gender", "F"),
    ],
)
def test_symbols_outside_an_enum_are_refused(name: str, path: str, outsider: str) -> None:
    with pytest.raises(ValueError, match=outsider):
        _write_fastavro(catalogue.text(name), FULLEST[name] | {path: outsider})


# --- what each field says


def test_every_field_and_named_type_has_a_doc(named: tuple[str, str]) -> None:
    _, text = named
    undocumented = [field.path for field in _every_field(text) if len(field.declaration.get("doc", "").split()) < 2]
    unnamed = [node["name"] for node in _nodes(json.loads(text)) if "name" in node and not node.get("doc")]
    assert (undocumented, unnamed) == ([], [])


def test_every_field_has_a_data_category_of_the_vocabulary(named: tuple[str, str]) -> None:
    _, text = named
    strange = {
        field.path: field.declaration.get("data_category")
        for field in _every_field(text)
        if field.declaration.get("data_category") not in CATEGORIES
    }
    assert strange == {}


def test_a_container_carries_the_category_of_a_leaf_or_its_parent(named: tuple[str, str]) -> None:
    _, text = named
    strange = [
        field.path
        for field in _every_field(text)
        if field.inner
        and not any(
            _is_within(leaf.declaration["data_category"], field.declaration["data_category"])
            for leaf in _flatten(field.inner)
            if not leaf.inner
        )
    ]
    assert strange == []


def test_only_the_customer_profile_holds_names_and_contact_data(named: tuple[str, str]) -> None:
    name, text = named
    contact = [
        field.path
        for field in _every_field(text)
        if any(_is_within(field.declaration["data_category"], key) for key in ("user.name", "user.contact"))
    ]
    assert bool(contact) == (name == "customer_profile"), contact


def test_no_default_widens_and_no_enum_guesses(named: tuple[str, str]) -> None:
    """A default says "not known" or "not done". Markers that are neither are listed, each with its reason."""
    name, text = named
    listed = {
        ("consent_event", "schema_version"): "1",  # the writer's model, which has had one version
        ("customer_profile", "loyalty.tier"): "NONE",  # the lowest
    }
    strange = {
        field.path: field.declaration["default"]
        for field in _every_field(text)
        if field.declaration.get("default") and listed.get((name, field.path)) != field.declaration["default"]
    }
    guessing = [node["name"] for node in _nodes(json.loads(text)) if node.get("type") == "enum" and "default" in node]
    assert (strange, guessing) == ({}, [])


# --- compatibility


@pytest.mark.parametrize("name", catalogue.names())
def test_every_version_is_compatible_with_every_earlier_one(name: str) -> None:
    texts = [catalogue.text(name, version) for version in catalogue.versions(name)]
    level = catalogue.compatibility(name)
    assert [
        _breaks(level, older, newer) for older, newer in combinations(texts, 2) if _breaks(level, older, newer)
    ] == []


ADDED_WITHOUT_DEFAULT = {"name": "extra", "type": "string", "doc": "Synthetic.", "data_category": "system.operations"}


def _with_field(schema: Json, field: Json) -> None:
    schema["fields"].append(field)


def _without_field(schema: Json, name: str) -> None:
    schema["fields"] = [field for field in schema["fields"] if field["name"] != name]


def _field(schema: Json, name: str) -> Json:
    return next(field for field in schema["fields"] if field["name"] == name)


def test_the_check_reports_a_new_field_without_default() -> None:
    newer = _changed("rejected", lambda schema: _with_field(schema, ADDED_WITHOUT_DEFAULT))
    older = catalogue.text("rejected", 1)
    assert _breaks("BACKWARD_TRANSITIVE", older, newer) == ["new readers, old data: extra"]
    assert _breaks("FORWARD_TRANSITIVE", older, newer) == []
    assert _breaks("FULL_TRANSITIVE", older, newer) == ["new readers, old data: extra"]


def test_the_check_passes_a_new_field_with_default() -> None:
    newer = _changed("rejected", lambda schema: _with_field(schema, ADDED_WITHOUT_DEFAULT | {"default": ""}))
    assert _breaks("FULL_TRANSITIVE", catalogue.text("rejected", 1), newer) == []


def test_the_check_reports_a_field_taken_from_old_readers() -> None:
    newer = _changed("control", lambda schema: _without_field(schema, "deadline"))
    older = catalogue.text("control", 1)
    assert _breaks("FORWARD_TRANSITIVE", older, newer) == ["old readers, new data: deadline"]
    assert _breaks("BACKWARD_TRANSITIVE", older, newer) == []


def test_the_check_reports_a_symbol_that_old_readers_do_not_know() -> None:
    newer = _changed("control", lambda schema: _field(schema, "type")["type"]["symbols"].append("FORGET"))
    older = catalogue.text("control", 1)
    assert _breaks("FORWARD_TRANSITIVE", older, newer) == ["old readers, new data: {'FORGET'}"]
    assert _breaks("BACKWARD_TRANSITIVE", older, newer) == []


def test_the_check_reports_another_type_deep_inside() -> None:
    def change(schema: Json) -> None:
        entry = _field(schema, "entries")["type"]["items"]
        _field(entry, "key_epoch")["type"] = "string"

    found = _breaks("FULL_TRANSITIVE", catalogue.text("disclosure", 1), _changed("disclosure", change))
    assert [line.partition(":")[0] for line in found] == ["new readers, old data", "old readers, new data"]


def test_the_check_reports_another_meaning_of_the_same_bytes() -> None:
    def change(schema: Json) -> None:
        _field(schema, "lifetime_value")["type"][1]["scale"] = 0
        _field(schema, "updated_at")["type"]["logicalType"] = "timestamp-micros"

    found = _breaks("FULL_TRANSITIVE", catalogue.text("customer_profile", 1), _changed("customer_profile", change))
    assert found == ["other logical type: lifetime_value", "other logical type: updated_at"]


def test_the_check_knows_every_level() -> None:
    assert set(_DIRECTIONS) == set(get_args(catalogue.Compatibility))


# --- below: reading schemas, and the two libraries behind one face

_DIRECTIONS: dict[catalogue.Compatibility, tuple[str, ...]] = {
    "BACKWARD_TRANSITIVE": ("new readers, old data",),
    "FORWARD_TRANSITIVE": ("old readers, new data",),
    "FULL_TRANSITIVE": ("new readers, old data", "old readers, new data"),
}


def _breaks(level: catalogue.Compatibility, older: str, newer: str) -> list[str]:
    """What the newer version breaks at this level, one line each.

    Avro's own rules, and one that they lack: the logical type of a field stays.
    """
    schemas = {"old": avro.schema.parse(older), "new": avro.schema.parse(newer)}
    found = []
    for direction in _DIRECTIONS[level]:
        reader, writer = ("new", "old") if direction.startswith("new") else ("old", "new")
        # avro says that it is typed; this constructor is not
        checker = avro.compatibility.ReaderWriterCompatibilityChecker()
        result = checker.get_compatibility(schemas[reader], schemas[writer])
        if result.compatibility is not avro.compatibility.SchemaCompatibilityType.compatible:
            found += [f"{direction}: {message}" for message in sorted(result.messages)]
    before, after = ({field.path: _logical(field.type) for field in _every_field(text)} for text in (older, newer))
    return found + [f"other logical type: {path}" for path in before if after.get(path, before[path]) != before[path]]


def _logical(type_: Json) -> list[tuple[Json, ...]]:
    return [
        (node["logicalType"], node.get("precision"), node.get("scale"))
        for node in _nodes(type_, into_records=False)
        if "logicalType" in node
    ]


def _changed(name: str, change: Callable[[Json], None]) -> str:
    """The first version, after `change` has edited it in place."""
    schema = json.loads(catalogue.text(name, 1))
    change(schema)
    return json.dumps(schema)


def _nodes(type_: Json, *, into_records: bool = True) -> Iterator[Mapping[str, Json]]:
    """Every type declared by an object, however nested."""
    if isinstance(type_, list):
        for branch in type_:
            yield from _nodes(branch, into_records=into_records)
    elif isinstance(type_, dict):
        yield type_
        inner = [type_[key] for key in ("items", "values") if key in type_]
        if into_records:
            inner += [field["type"] for field in type_.get("fields", [])]
        yield from _nodes(inner, into_records=into_records)


def _fields(text: str) -> tuple[SchemaField, ...]:
    schema = json.loads(text)
    types = {node["name"]: node for node in _nodes(schema) if "name" in node}
    return _fields_of(schema, types, "")


def _every_field(text: str) -> list[SchemaField]:
    return list(_flatten(_fields(text)))


def _flatten(fields: tuple[SchemaField, ...]) -> Iterator[SchemaField]:
    for field in fields:
        yield field
        yield from _flatten(field.inner)


def _fields_of(type_: Json, types: Mapping[str, Json], prefix: str) -> tuple[SchemaField, ...]:
    """The fields directly below a type; unions, arrays and maps are looked through and add nothing to the path."""
    if isinstance(type_, list):
        return tuple(field for branch in type_ for field in _fields_of(branch, types, prefix))
    if isinstance(type_, str):
        return _fields_of(types[type_], types, prefix) if type_ in types else ()
    found = tuple(field for key in ("items", "values") for field in _fields_of(type_.get(key, []), types, prefix))
    for field in type_.get("fields", []):
        path = prefix + field["name"]
        found += (SchemaField(path, field, field["type"], _fields_of(field["type"], types, path + ".")),)
    return found


def _cut(fields: tuple[SchemaField, ...], record: Record) -> Record:
    """The record without what this version does not have: the examples fill the newest."""
    known = {field.path.rpartition(".")[2]: field.inner for field in fields}
    return {name: _cut_value(known[name], value) for name, value in record.items() if name in known}


def _cut_value(inner: tuple[SchemaField, ...], value: Json) -> Json:
    if inner and isinstance(value, list):
        return [_cut(inner, item) for item in value]
    return _cut(inner, value) if inner else value


def _gaps(fields: tuple[SchemaField, ...], record: Record) -> Iterator[str]:
    """Fields that the record leaves null, empty or out."""
    for field in fields:
        value = record.get(field.path.rpartition(".")[2])
        if value is None or value in ([], {}):
            yield field.path
        for inner in value if isinstance(value, list) else [value]:
            if field.inner and isinstance(inner, dict):
                yield from _gaps(field.inner, inner)


def _is_within(category: str, ancestor: str) -> bool:
    return category == ancestor or category.startswith(ancestor + ".")


def _write_fastavro(text: str, record: Record) -> bytes:
    buffer = io.BytesIO()
    schema = fastavro.parse_schema(json.loads(text))
    fastavro.schemaless_writer(buffer, schema, record, strict_allow_default=True)
    return buffer.getvalue()


def _read_fastavro(text: str, encoded: bytes) -> Record:
    buffer = io.BytesIO(encoded)
    record = fastavro.schemaless_reader(buffer, fastavro.parse_schema(json.loads(text)))
    assert not buffer.read(), "bytes left over"
    assert isinstance(record, dict)
    return record


def _write_avro(text: str, record: Record) -> bytes:
    buffer = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(text)).write(record, avro.io.BinaryEncoder(buffer))
    return buffer.getvalue()


def _read_avro(text: str, encoded: bytes) -> Record:
    buffer = io.BytesIO(encoded)
    record = avro.io.DatumReader(avro.schema.parse(text)).read(avro.io.BinaryDecoder(buffer))
    assert not buffer.read(), "bytes left over"
    assert isinstance(record, dict)
    return record

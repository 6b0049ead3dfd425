"""Disclosures from pieces are the bytes that a library writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import Writer
from sluice.model import Held, Millis, PartnerId, Pointer, Pseudonym
from stream_processors.sharing.disclosing import DisclosureWriter

SCHEMA = catalogue.text("disclosure")
ID = 7
LONGS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.lists(st.text(max_size=70), max_size=4).map(tuple)
HELD = st.builds(
    Held,
    pseudonym=st.text(max_size=30).map(Pseudonym),
    key_epoch=st.integers(0, (1 << 31) - 1),
    contract=st.text(max_size=200),
    fields=TEXTS,
    digest=st.binary(max_size=200),
    consents=TEXTS,
    rules=TEXTS,
    expires_at=st.none() | LONGS.map(Millis),
)
COVERS = st.lists(st.builds(Pointer, st.text(max_size=10), st.just(0), st.integers(0, (1 << 63) - 1)), max_size=3)
SAID = st.lists(
    st.tuples(
        st.text(max_size=20).map(PartnerId),
        st.sampled_from(("SHARED", "REAFFIRMED", "RECALLED")),
        st.none() | st.text(max_size=20),
        HELD,
        st.text(max_size=22),
    ),
    min_size=1,
    max_size=70,
)


@given(COVERS, LONGS, st.text(max_size=64), SAID)
def test_as_fastavro_writes_them(
    covers: list[Pointer], at: int, contract_set: str, said: list[tuple[PartnerId, str, str | None, Held, str]]
) -> None:
    ours = DisclosureWriter(SCHEMA, ID)
    pieces, entries = [], []
    for partner, action, reason, held, decision in said:
        recalled = action == "RECALLED"
        pieces.append(
            ours.recalled(partner, reason, held, decision) if recalled else ours.entry(partner, action, held, decision)
        )
        entries.append(told(partner, action, reason if recalled else None, held, decision))
    expected = {
        "covers": [{"topic": where.topic, "offset": where.offset} for where in covers],
        "decided_at": at,
        "contract_set": contract_set,
        "entries": entries,
    }
    assert ours.write(covers, at, contract_set, len(pieces), pieces) == Writer(SCHEMA, ID).write(expected)


def told(partner: str, action: str, reason: str | None, held: Held, decision: str) -> dict[str, Any]:
    recalled = action == "RECALLED"
    return {
        "partner": partner,
        "action": action,
        "reason": reason,
        "pseudonym": held.pseudonym,
        "key_epoch": held.key_epoch,
        "contract": held.contract,
        "fields": [] if recalled else list(held.fields),
        "digest": None if recalled else held.digest,
        "consents": [] if recalled else list(held.consents),
        "rules": [] if recalled else list(held.rules),
        "expires_at": None if recalled else held.expires_at,
        "decision_id": decision,
    }


def test_another_schema_is_not_written() -> None:
    other = json.loads(SCHEMA)
    entry = other["fields"][-1]["type"]["items"]["fields"]
    entry[0], entry[1] = entry[1], entry[0]
    with pytest.raises(ValueError, match="changed"):
        DisclosureWriter(json.dumps(other), ID)

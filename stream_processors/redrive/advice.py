"""For each cause of a reject, what to do about it, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.model import Cause

ADVICE: Mapping[Cause, str] = {
    Cause.NOT_FRAMED: (
        "Its producer does not write the registry's wire format: mend the producer, and have it send the record again."
    ),
    Cause.SCHEMA_UNKNOWN: (
        "Register the schema that it was written with, under the id that the pointer tells, then `sluice redrive`."
    ),
    Cause.UNDECODABLE: (
        "Its bytes are not a whole record of their schema: mend the producer, and have it send the record again."
    ),
    Cause.KEY_UNREADABLE: (
        "It names nobody: have its producer send it again under the customer's id, then list the pointer under "
        "`sharing.acknowledged`."
    ),
    Cause.KEY_CONTRADICTS_VALUE: (
        "It is about somebody else than its key says: find out who was meant, publish a good event, then list the "
        "pointer under `sharing.acknowledged`."
    ),
    Cause.NOT_UNDERSTOOD: (
        "It uses words that no vocabulary here has: bring in the vocabulary that has them and `sluice redrive`, or "
        "publish a good event and list the pointer under `sharing.acknowledged`."
    ),
    Cause.DATED_IN_THE_FUTURE: (
        "It was dated after it was logged: set its producer's clock, publish a good event, then list the pointer under "
        "`sharing.acknowledged`."
    ),
    Cause.MISPLACED: (
        "Its producer does not partition by murmur2: mend the producer; consent events and deletions were written "
        "again where they belong, snapshots have to be sent again."
    ),
    Cause.REQUIRED_FIELD_NOT_IN_SCHEMA: (
        "The source's schema lacks a field that the contract requires: have the customer sent with it, or change the "
        "contract."
    ),
    Cause.UNENCODABLE: (
        "The partner's schema cannot hold a value of it: mend the value at the source, or change the contract."
    ),
    Cause.RECORD_TOO_LARGE: (
        "The partner's record is larger than its topic takes: raise `max.message.bytes` there, restart the processors, "
        "then `sluice redrive`."
    ),
}

_LATER = "This version does not know the cause: a newer one wrote the pointer, and its `sluice rejected` knows more."


def advice(cause: str) -> str:
    return ADVICE[Cause(cause)] if cause in {known.value for known in Cause} else _LATER

"""What the fuzzer asks (`make fuzz`), asked of a few thousand records that were damaged at random, in either form."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.records import check, whole_records

_EACH = 25


def damaged(record: bytes, random: Random) -> bytes:
    """The record with up to four faults; which schema it is of stays."""
    found = bytearray(record)
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(1, len(found) + 1)
        match random.randrange(4):
            case 0:
                del found[at:]
            case 1:
                found[at:at] = random.randbytes(random.randrange(1, 4))
            case 2:
                del found[at : at + random.randrange(1, 4)]
            case _:
                found[at : at + 1] = bytes((random.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFE, 0xFF)),))
    return bytes(found)


@pytest.mark.parametrize("number", range(3))
def test_a_damaged_record_is_refused_or_read_as_a_library_reads_it(number: int) -> None:
    random = Random(number)
    records = [record for record in whole_records() if record[0] == number]
    assert records
    for record in records:
        check(record)
        for _ in range(_EACH):
            check(damaged(record, random))

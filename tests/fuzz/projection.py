"""Damaged records that a fuzzer invents (`make fuzz`, docs/adr/0004).

    python -m tests.fuzz.projection [libFuzzer's options, such as -max_total_time=60]

In pure Python, which the fuzzer can look into; the compiled form is held against it by the tests of both forms. Begins
with whole records of every schema.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sluice.wire", "sluice.layout", "sluice.projection"]):
    from tests.fuzz.records import check, whole_records


def main() -> None:
    corpus = Path(tempfile.mkdtemp(prefix="sluice-fuzz-"))
    for number, record in enumerate(whole_records()):
        (corpus / str(number)).write_bytes(record)
    atheris.Setup([sys.argv[0], *sys.argv[1:], str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

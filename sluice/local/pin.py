"""Writes ``artefacts.lock`` anew: ``python -m sluice.local.pin > lock && mv lock sluice/local/artefacts.lock``.

It resolves the roots below on Maven Central, fetches each file over TLS and writes down its SHA-256. Do it when a
version here changes, on a machine and a network that you trust, and read the difference before you check it in.
"""

import sys
import tempfile
from pathlib import Path

from sluice.local.artefacts import Coordinate, parse_coordinate, sha256_of
from sluice.local.maven import download, runtime_jars

BROKER = (
    parse_coordinate("org.apache.kafka:kafka_2.13:4.3.1:jar"),
    parse_coordinate("org.slf4j:slf4j-simple:1.7.36:jar"),
)
REGISTRY = parse_coordinate("io.apicurio:apicurio-registry-app:3.3.3:all:tar.gz")

# Parts that the broker names as dependencies and does not load in the one way it is run here.
UNUSED = {
    "scala-reflect": "macros, at compile time only",
    "caffeine": "tiered storage",
    "jose4j": "OAuth tokens",
    "jackson-dataformat-csv": "output of command-line tools",
    "commons-beanutils": "parts of commons-validator other than its address checks",
    "commons-collections": "the same",
    "commons-digester": "the same",
    "commons-logging": "the same",
}

HEADER = """\
# What `sluice local` runs, and the only content it accepts. Written by `python -m sluice.local.pin`, not by hand.
# sha256  group:artifact:version[:classifier]:packaging
"""


def lock(folder: Path) -> str:
    """The text of a lock file; ``folder`` is scratch space of half a gigabyte."""
    jars = [jar for jar in runtime_jars(BROKER, folder / "resolve") if jar.name not in UNUSED]
    lines = [_line(coordinate, folder / str(number)) for number, coordinate in enumerate([*jars, REGISTRY])]
    return HEADER + "".join(lines)


def _line(coordinate: Coordinate, folder: Path) -> str:
    return f"{sha256_of(download(coordinate, folder))}  {coordinate}\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.stdout.write(lock(Path(scratch)))

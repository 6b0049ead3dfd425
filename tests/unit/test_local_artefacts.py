import pytest

from sluice.local.artefacts import Coordinate, parse_coordinate, parse_lock, pinned
from sluice.local.errors import LocalError
from sluice.local.pin import BROKER, HEADER, REGISTRY, UNUSED

DIGEST = "0" * 64


def test_a_line_names_a_digest_and_a_coordinate() -> None:
    (artefact,) = parse_lock(f"# comment\n\n{DIGEST}  g.h:a-b:1.2:all:tar.gz\n")
    assert artefact.sha256 == DIGEST
    assert artefact.coordinate == Coordinate("g.h", "a-b", "1.2", "all", "tar.gz")
    assert artefact.coordinate.filename == "a-b-1.2-all.tar.gz"
    assert str(artefact.coordinate) == "g.h:a-b:1.2:all:tar.gz"


@pytest.mark.parametrize(
    "line", ["", "g:a:1:jar", f"{DIGEST} g:a:1:jar", f"{DIGEST[1:]}  g:a:1:jar", "x" * 64 + "  g:a:1:jar"]
)
def test_a_line_without_a_digest_is_refused(line: str) -> None:
    with pytest.raises(LocalError):
        parse_lock(line or "nothing")


@pytest.mark.parametrize("text", ["g:a:1", "g:a:1:c:jar:x", "g:../a:1:jar", "g:a::jar", "/g:a:1:jar"])
def test_a_coordinate_that_would_be_a_strange_path_is_refused(text: str) -> None:
    with pytest.raises(LocalError):
        parse_coordinate(text)


def test_the_lock_pins_what_pin_names() -> None:
    coordinates = [artefact.coordinate for artefact in pinned()]
    assert {*BROKER, REGISTRY} <= set(coordinates)
    assert [one for one in coordinates if one.packaging != "jar"] == [REGISTRY]
    assert not UNUSED.keys() & {one.name for one in coordinates}
    assert len(set(coordinates)) == len(coordinates)


def test_the_header_is_a_comment() -> None:
    assert parse_lock(HEADER) == ()

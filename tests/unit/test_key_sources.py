"""Where master keys are kept: what is refused, in which sentence, and that the sentence never shows a key."""

from __future__ import annotations

import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice.errors import SluiceError
from sluice.key_sources import KeyCommand, KeyFile, KeyVariable, create_master_key
from sluice.keys import KeySource, MasterKey, load_master_key

SECRET = bytes(range(32))
DIGITS = SECRET.hex()


def kept(path: Path, content: bytes, mode: int = 0o600) -> KeyFile:
    path.touch(mode)
    path.write_bytes(content)
    return KeyFile(path)


def printing(text: str) -> KeyCommand:
    return KeyCommand((sys.executable, "-c", f"print({text!r})"))


def refusal(source: KeySource) -> str:
    with pytest.raises(SluiceError) as raised:
        load_master_key(source)
    assert DIGITS[:16] not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None, "a traceback would show it"
    return str(raised.value)


def test_all_sources_give_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KEY", f"{DIGITS}\n")
    for source in (kept(tmp_path / "key", DIGITS.encode()), KeyVariable("SLUICE_KEY"), printing(DIGITS)):
        assert load_master_key(source) == MasterKey(SECRET)


def test_a_new_master_key_is_random_and_its_owners_alone(tmp_path: Path) -> None:
    one, other = KeyFile(tmp_path / "new" / "folder" / "master.key"), KeyFile(tmp_path / "other.key")
    create_master_key(one)
    create_master_key(other)
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert len(load_master_key(one).secret) == 32
    assert load_master_key(one) != load_master_key(other)


def test_an_existing_master_key_is_never_replaced(tmp_path: Path) -> None:
    damaged = kept(tmp_path / "master.key", b"damaged")
    create_master_key(damaged)
    assert damaged.path.read_text() == "damaged"


@pytest.mark.usefixtures("read_only")
def test_a_master_key_that_is_mounted_read_only_is_left_as_it_is(tmp_path: Path) -> None:
    mounted = kept(tmp_path / "master.key", DIGITS.encode())
    assert create_master_key(mounted) is None
    assert load_master_key(mounted) == MasterKey(SECRET)


@pytest.mark.usefixtures("read_only")
def test_a_master_key_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SluiceError) as raised:
        create_master_key(KeyFile(tmp_path / "master.key"))
    assert str(raised.value) == (
        f"There is no master key at {tmp_path}/master.key, and none can be made there (Read-only file system): restore "
        "it or, for a new installation, put there what `openssl rand -hex 32` prints."
    )


def test_of_many_that_make_a_master_key_at_once_one_does(tmp_path: Path) -> None:
    source = KeyFile(tmp_path / "master.key")
    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(create_master_key, [source] * 8) if one is not None]
    assert made == [source.path]


def test_a_key_that_somebody_else_keeps_is_not_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_KEY", raising=False)
    for source in (KeyVariable("SLUICE_KEY"), KeyCommand(("touch", "made"), tmp_path)):
        create_master_key(source)
    assert "SLUICE_KEY" not in os.environ
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no master key at {path}: run `sluice apply`, or restore the file."),
        (b"", "has 0 bytes, not 32"),
        (DIGITS[:-2].encode(), "has 31 bytes, not 32"),
        (DIGITS.encode() + b"00", "has 33 bytes, not 32"),
        (b"zz" + DIGITS.encode(), "is not hexadecimal"),
        (DIGITS[:-1].encode(), "is not hexadecimal"),
        (DIGITS.encode() + b"\xff\xfe", "is not hexadecimal"),
        (SECRET, "is not hexadecimal"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "master.key"
    source = KeyFile(path) if content is None else kept(path, content)
    assert sentence.format(path=path) in refusal(source)


def test_a_master_key_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "master.key").mkdir()
    assert "master.key cannot be read" in refusal(KeyFile(tmp_path / "master.key"))


def test_white_space_around_the_key_does_not_matter(tmp_path: Path) -> None:
    assert load_master_key(kept(tmp_path / "key", f"\n  {DIGITS.upper()}  \r\n".encode())) == MasterKey(SECRET)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_key_file_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    source = kept(tmp_path / "my key", DIGITS.encode())
    source.path.chmod(mode)
    if source.path.stat().st_uid == 0 and mode == 0o640:
        os.chown(source.path, 12345, -1)  # root may let a group read; nobody else may
    path = source.path
    assert f"{path} holds a secret" in refusal(source)
    assert f"run `chmod 600 '{path}'`." in refusal(source)
    path.chmod(0o400)
    assert load_master_key(source) == MasterKey(SECRET)


def test_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_KEY", raising=False)
    assert refusal(KeyVariable("SLUICE_KEY")) == (
        "There is no master key in the environment variable SLUICE_KEY: set it where Sluice is started."
    )


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import sys; print({key!r}); print({key!r}, file=sys.stderr); sys.exit(3)", "it ended with status 3; run it"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "it ended with status -9; run it yourself"),
        ("print({key!r}[:-2])", "prints has 31 bytes, not 32: restore it."),
        ("print({key!r}, 'and more')", "prints is not hexadecimal"),
        ("", "prints has 0 bytes, not 32"),
        ("import sys; print({key!r}); sys.stdout.flush(); import time; time.sleep(60)", "did not end within 1 seconds"),
    ],
)
def test_program_that_gives_no_key(program: str, sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What it printed is shown nowhere, whatever stream it took."""
    began = time.monotonic()
    words = (sys.executable, "-c", program.format(key=DIGITS))
    assert sentence in refusal(KeyCommand(words, patience_seconds=1.0))
    assert time.monotonic() - began < 10
    assert capfd.readouterr() == ("", "")


def test_program_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(KeyCommand(("no-such-program", DIGITS), tmp_path)) == (
        "There is no master key that `no-such-program` prints: it cannot be run (No such file or directory)."
    )


def test_program_is_asked_nothing_and_runs_where_the_settings_lie(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(DIGITS)
    words = ("sh", "-c", "cat; cat key")  # the first ends at once: there is no standard input
    assert load_master_key(KeyCommand(words, tmp_path)) == MasterKey(SECRET)


def test_words_of_a_program_are_not_printed() -> None:
    """Somebody will put a token there."""
    assert "hidden" not in repr(KeyCommand(("vault", "-token=hidden")))

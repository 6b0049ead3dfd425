"""Customers' own keys: random, kept, and gone for good when destroyed."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sluice import customer_keys
from sluice.customer_keys import SqliteCustomerKeys, issued_key
from sluice.erasure import destroy_key
from sluice.errors import SluiceError
from sluice.keys import MasterKey, NoKey
from sluice.model import CustomerId
from sluice.redaction import Customer, Untransformable, parse_rule
from sluice.redaction.encryption import AesGcm
from sluice.redaction.sealing import NotOpened
from tests.unit.transforming import HANAKO, MASTER, TARO, result, target


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "customers.sqlite"


@pytest.fixture
def keys(path: Path) -> Iterator[SqliteCustomerKeys]:
    with closing(SqliteCustomerKeys(path, MASTER)) as opened:
        yield opened


def test_a_key_is_32_random_bytes_and_the_same_whenever_asked(keys: SqliteCustomerKeys, path: Path) -> None:
    mine, yours = keys.key_of(HANAKO), keys.key_of(TARO)
    assert isinstance(mine, bytes)
    assert len(mine) == 32
    assert mine != yours
    assert keys.key_of(HANAKO) == mine
    with closing(SqliteCustomerKeys(path, MASTER)) as later:
        assert later.key_of(HANAKO) == mine


def test_keys_are_not_derived_from_anything(tmp_path: Path) -> None:
    with (
        closing(SqliteCustomerKeys(tmp_path / "one", MASTER)) as one,
        closing(SqliteCustomerKeys(tmp_path / "other", MASTER)) as other,
    ):
        assert one.key_of(HANAKO) != other.key_of(HANAKO)


def test_a_destroyed_key_is_never_issued_again(keys: SqliteCustomerKeys, path: Path) -> None:
    kept = keys.key_of(TARO)
    keys.key_of(HANAKO)
    keys.destroy(HANAKO)
    keys.destroy(HANAKO)
    assert keys.key_of(HANAKO) is NoKey.DESTROYED
    assert keys.key_of(TARO) == kept
    with closing(SqliteCustomerKeys(path, MASTER)) as later:
        assert later.key_of(HANAKO) is NoKey.DESTROYED


def test_a_key_that_never_was_can_be_destroyed_beforehand(keys: SqliteCustomerKeys) -> None:
    keys.destroy(HANAKO)
    assert keys.key_of(HANAKO) is NoKey.DESTROYED


def test_another_process_that_had_the_file_open_sees_the_destruction(keys: SqliteCustomerKeys, path: Path) -> None:
    with closing(SqliteCustomerKeys(path, MASTER)) as running:
        assert isinstance(running.key_of(HANAKO), bytes)
        keys.destroy(HANAKO)
        assert running.key_of(HANAKO) is NoKey.DESTROYED


def test_no_byte_of_a_destroyed_key_and_no_customers_name_is_left_on_the_disk(
    keys: SqliteCustomerKeys, path: Path
) -> None:
    others = [keys.key_of(CustomerId(f"c{n}")) for n in range(50)]
    secret, other = keys.key_of(HANAKO), keys.key_of(TARO)
    assert isinstance(secret, bytes)
    assert isinstance(other, bytes)
    assert all(isinstance(one, bytes) for one in others)
    assert secret in _bytes_of(path)
    keys.destroy(HANAKO)
    assert not any(secret[n : n + 8] in _bytes_of(path) for n in range(25)), "nor a part of it"
    assert other in _bytes_of(path)
    assert HANAKO.encode() not in _bytes_of(path)


def test_destroying_says_so_when_a_reader_keeps_the_bytes_alive(keys: SqliteCustomerKeys, path: Path) -> None:
    keys.key_of(HANAKO)
    keys._database.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM customer_keys").fetchall()
        with pytest.raises(SluiceError, match="destroy it again"):
            keys.destroy(HANAKO)
        reader.execute("COMMIT")
    assert keys.key_of(HANAKO) is NoKey.DESTROYED
    keys.destroy(HANAKO)


def test_the_files_are_their_owners_alone(keys: SqliteCustomerKeys, path: Path) -> None:
    keys.key_of(HANAKO)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_of_processes_that_come_first_together_all_get_the_same_key(path: Path) -> None:
    started = [_started(path, "[keys.key_of(f'c{n}').hex() for n in range(50)]") for _ in range(4)]
    found = {process.communicate()[0] for process in started}
    assert len(found) == 1
    assert len(set(found.pop().split(b", "))) == 50


class Contended(sqlite3.Connection):
    """As SQLite answers when processes begin together on a new file, which they rarely do to the microsecond."""

    refusals: Iterator[int] = iter(())

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - SQLite's
        if "journal_mode" in sql and next(self.refusals, None) is not None:
            busy = sqlite3.OperationalError("database is locked")
            busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise busy
        return super().execute(sql, parameters)


def test_processes_that_begin_together_on_a_new_file_wait_for_one_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Contended))
    monkeypatch.setattr(Contended, "refusals", iter(range(3)))
    with closing(SqliteCustomerKeys(path, MASTER)) as keys:
        assert isinstance(keys.key_of(HANAKO), bytes)
        assert keys._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    monkeypatch.setattr(customer_keys, "_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(Contended, "refusals", count())
    with pytest.raises(SluiceError, match="database is locked"):
        SqliteCustomerKeys(path, MASTER)


def test_a_key_is_on_the_disk_before_it_is_used(path: Path) -> None:
    """A process that dies right after has not sealed with a key that nobody knows."""
    with closing(SqliteCustomerKeys(path, MASTER)) as keys:
        assert keys._database.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: each commit reaches the disk"
    process = _started(path, f"keys.key_of({HANAKO!r}).hex(), flush=True); import os; os.kill(os.getpid(), 9")
    used = process.communicate()[0].decode().strip()
    assert process.returncode == -9
    with closing(SqliteCustomerKeys(path, MASTER)) as keys:
        assert keys.key_of(HANAKO) == bytes.fromhex(used)


@pytest.mark.parametrize("destroyed", [False, True])
def test_a_key_that_another_process_made_or_destroyed_meanwhile_is_respected(
    keys: SqliteCustomerKeys,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    destroyed: bool,  # noqa: FBT001
) -> None:
    """This one has looked, and found nobody, just before the other writes."""
    look, looks = keys._found, count()
    monkeypatch.setattr(keys, "_found", lambda name: NoKey.NOT_ISSUED if next(looks) == 0 else look(name))
    with closing(SqliteCustomerKeys(path, MASTER)) as other:
        made = other.key_of(HANAKO)
        if destroyed:
            other.destroy(HANAKO)
    assert keys.key_of(HANAKO) == (NoKey.DESTROYED if destroyed else made)


def test_a_key_that_does_not_stay_written_is_refused_in_a_sentence(
    keys: SqliteCustomerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sealed with it could not be opened by anybody."""
    monkeypatch.setattr(keys, "_found", lambda _: NoKey.NOT_ISSUED)
    with pytest.raises(SluiceError, match=r"^A key that was just written to .* is not there: .*\.$"):
        keys.key_of(HANAKO)


# --- asking what was issued


def test_who_asks_sees_what_was_issued_and_what_was_destroyed(keys: SqliteCustomerKeys, path: Path) -> None:
    kept = keys.key_of(TARO)
    keys.key_of(HANAKO)
    keys.destroy(HANAKO)
    assert issued_key(path, MASTER, TARO) == kept
    assert issued_key(path, MASTER, HANAKO) is NoKey.DESTROYED
    assert issued_key(path, MASTER, CustomerId("somebody else")) is NoKey.NOT_ISSUED


def test_asking_issues_nothing_and_leaves_nothing(path: Path) -> None:
    assert issued_key(path, MASTER, HANAKO) is NoKey.NOT_ISSUED
    assert not path.parent.exists()
    SqliteCustomerKeys(path, MASTER).close()
    before = path.read_bytes()
    assert issued_key(path, MASTER, HANAKO) is NoKey.NOT_ISSUED
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_who_asks_is_told_what_is_wrong_with_the_file(keys: SqliteCustomerKeys, path: Path, tmp_path: Path) -> None:
    keys.destroy(HANAKO)
    with pytest.raises(SluiceError, match="belong to another master key"):
        issued_key(path, MasterKey(bytes(32)), HANAKO)
    damaged = tmp_path / "damaged"
    damaged.touch(0o600)
    damaged.write_bytes(b"no database at all" * 100)
    for wrong in (damaged, tmp_path):
        with pytest.raises(SluiceError, match=r"^The customers' keys at .* cannot be used: .*\.$"):
            issued_key(wrong, MASTER, HANAKO)


def _started(path: Path, printed: str) -> subprocess.Popen[bytes]:
    """Another process that prints what it is asked of the keys."""
    program = (
        "import sys; from pathlib import Path; from sluice.keys import MasterKey\n"
        "from sluice.customer_keys import SqliteCustomerKeys\n"
        "keys = SqliteCustomerKeys(Path(sys.argv[1]), MasterKey(bytes.fromhex(sys.argv[2])))\n"
        f"print({printed})"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(path), MASTER.secret.hex()], stdout=subprocess.PIPE)


def test_a_file_of_another_master_key_is_refused(keys: SqliteCustomerKeys, path: Path) -> None:
    """Everybody would look new in it, those too whose key was destroyed."""
    keys.destroy(HANAKO)
    with pytest.raises(SluiceError, match="belong to another master key"):
        SqliteCustomerKeys(path, MasterKey(bytes(32)))


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(2000)])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(SluiceError, match=r"^The customers' keys at .*damaged cannot be used: .*\.$"):
        SqliteCustomerKeys(path, MASTER)


def test_a_folder_is_no_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(SluiceError, match=r"cannot be opened: Is a directory\.$"):
        SqliteCustomerKeys(tmp_path, MASTER)


def test_destroying_one_customers_key_makes_theirs_unreadable_and_nobody_elses(keys: SqliteCustomerKeys) -> None:
    """What was delivered stays with the partner, and is noise."""
    rule = parse_rule("aes_gcm")
    assert isinstance(rule, AesGcm)
    hanako, taro = (Customer(name, f"record of {name}", keys.key_of(name)) for name in (HANAKO, TARO))
    delivered = {whose.id: result(rule, "secret", whose=whose) for whose in (hanako, taro)}
    assert rule.open(delivered[HANAKO], target(), hanako) == "secret"
    keys.destroy(HANAKO)
    with pytest.raises(Untransformable, match="destroyed"):
        rule.open(delivered[HANAKO], target(), replace(hanako, own_key=keys.key_of(HANAKO)))
    with pytest.raises(NotOpened):
        rule.open(delivered[HANAKO], target(), replace(hanako, own_key=taro.own_key))
    assert rule.open(delivered[TARO], target(), taro) == "secret"


# --- the command


@pytest.fixture
def settings(tmp_path: Path, path: Path) -> Path:
    (tmp_path / "master.key").touch(0o600)
    (tmp_path / "master.key").write_text(MASTER.secret.hex())
    file = tmp_path / "sluice.yaml"
    file.write_text(
        "clients: clients\ncontracts: contracts\nmaster_key: master.key\nsharing: {state: state}\n"
        f"customer_keys: {path.relative_to(tmp_path)}\n"
    )
    return file


def test_the_command_destroys_one_key_and_no_other(keys: SqliteCustomerKeys, settings: Path) -> None:
    keys.key_of(HANAKO)
    kept = keys.key_of(TARO)
    done = CliRunner().invoke(destroy_key, [HANAKO, "--yes", "--settings", str(settings)])
    assert done.exit_code == 0, done.output
    assert (keys.key_of(HANAKO), keys.key_of(TARO)) == (NoKey.DESTROYED, kept)


def test_the_command_says_when_there_was_nothing_to_destroy(keys: SqliteCustomerKeys, settings: Path) -> None:
    keys.key_of(HANAKO)
    command = [HANAKO + "x", "--yes", "--settings", str(settings)]
    assert "had no key" in CliRunner().invoke(destroy_key, command).output, "which may be a slip in the id"
    assert "destroyed before" in CliRunner().invoke(destroy_key, command).output
    assert keys.key_of(HANAKO) is not NoKey.DESTROYED


def test_the_command_asks_first(keys: SqliteCustomerKeys, settings: Path) -> None:
    kept = keys.key_of(HANAKO)
    done = CliRunner().invoke(destroy_key, [HANAKO, "--settings", str(settings)], input="n\n")
    assert done.exit_code == 1
    assert keys.key_of(HANAKO) == kept


def test_the_command_says_when_there_are_no_such_keys(settings: Path) -> None:
    settings.write_text(settings.read_text().split("customer_keys")[0])
    done = CliRunner().invoke(destroy_key, [HANAKO, "--yes", "--settings", str(settings)])
    assert isinstance(done.exception, SluiceError)
    assert "name no `customer_keys`" in str(done.exception)


def _bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))

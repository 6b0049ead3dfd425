import stat
import uuid
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sluice.local import client_files, ports, properties, service, stack, state
from sluice.local.complaint import last_complaint
from sluice.local.errors import LocalError
from sluice.local.progress import Silence


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def copy(tmp_path: Path) -> state.Copy:
    made = state.create(tmp_path, (20_001, 20_002), (20_003, 20_004))
    state.make_folders(made)
    return made


def test_a_copy_is_remembered_privately(copy: state.Copy) -> None:
    assert state.find(copy.folder) == copy
    assert _mode(copy.folder / state.MARKER) == 0o600
    assert copy.identity.admin_password != copy.identity.node_password
    assert copy.identity.admin_password not in repr(copy)


def test_two_copies_share_no_password(copy: state.Copy, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = state.create(tmp_path / "second", (1, 2), (3, 4))
    assert second.identity.admin_password != copy.identity.admin_password
    assert second.identity.cluster_id != copy.identity.cluster_id


def test_a_folder_of_somebody_else_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(LocalError, match=r"holds other things \(thesis.txt"):
        state.create(tmp_path, (1, 2), (3, 4))
    assert stack.delete(tmp_path) is False
    assert (tmp_path / "thesis.txt").exists()


def test_deleting_leaves_what_others_put_beside_it(copy: state.Copy) -> None:
    (copy.folder / "notes.txt").touch()
    assert stack.delete(copy.folder)
    assert [path.name for path in copy.folder.iterdir()] == ["notes.txt"]


def test_a_damaged_marker_is_a_sentence_and_can_be_deleted(copy: state.Copy) -> None:
    (copy.folder / state.MARKER).write_text('{"cluster_id": 1}', encoding="utf-8")
    with pytest.raises(LocalError, match="is damaged"):
        state.find(copy.folder)
    assert stack.delete(copy.folder)
    assert not copy.folder.exists()


def test_new_ports_reach_every_file_for_clients(copy: state.Copy) -> None:
    client_files.refresh(copy)
    theirs = copy.clients / "partner.properties"
    theirs.write_text("# partner\nbootstrap.servers=127.0.0.1:1\nsasl.username=partner\n", encoding="utf-8")
    moved = replace(copy, identity=replace(copy.identity, broker_ports=(20_009, 20_010)))
    client_files.refresh(moved)
    assert theirs.read_text(encoding="utf-8") == (
        "# partner\nbootstrap.servers=127.0.0.1:20009\nsasl.username=partner\n"
    )
    admin = properties.parse((copy.clients / "admin.properties").read_text(encoding="utf-8"))
    assert admin == client_files.admin(moved)
    registry = properties.parse((copy.clients / "registry.properties").read_text(encoding="utf-8"))
    assert registry == {"url": copy.registry_url}
    assert {_mode(path) for path in copy.clients.iterdir()} == {0o600}
    assert _mode(copy.clients) == 0o700


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="cannot be used"):
        stack.start(tmp_path / "file" / "below")


def test_chosen_ports_differ_and_are_free() -> None:
    chosen = ports.choose(20)
    assert len(set(chosen)) == 20
    assert all(map(ports.is_free, chosen))


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        ("", "it wrote nothing"),
        ("one\ntwo\n", "two"),
        ("12 ERROR Address in use\n\tat some.Code\nINFO bye\n", "12 ERROR Address in use"),
        ("java.lang.Exception: why\n    at some.Code(File.java)\n", "java.lang.Exception: why"),
        ("x" * 400, "x" * 300 + " …"),
    ],
)
def test_a_log_is_told_in_one_line(tmp_path: Path, log: str, complaint: str) -> None:
    (tmp_path / "log").write_text(log, encoding="utf-8")
    assert last_complaint(tmp_path / "log") == complaint


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert last_complaint(tmp_path / "log") == "it wrote nothing"


def test_a_cluster_id_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"\xf8" + bytes(15), b"\xfb" + bytes(15), b"\x01" + bytes(15)])
    monkeypatch.setattr(uuid, "uuid4", lambda: SimpleNamespace(bytes=next(drawn)))
    assert not state._cluster_id().startswith("-")


@pytest.mark.parametrize("answers", [True, False])
def test_who_answers_when_time_is_up_is_there(
    copy: state.Copy, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    late = SimpleNamespace(answers=lambda _: answers)
    monkeypatch.setattr(service, "SERVICES", {"broker": late})
    monkeypatch.setattr(service, "_READY_WITHIN_SECONDS", -1)
    monkeypatch.setattr(service, "process", SimpleNamespace(find=lambda _: "it runs"))
    with nullcontext() if answers else pytest.raises(LocalError):
        service.await_ready(copy, ["broker"], Silence())

"""Which modes a secret's file may have."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from sluice.errors import SluiceError
from sluice.private_file import read_private, refuse_exposed

ROOT, SOMEBODY = 0, 1000


def mounted(monkeypatch: pytest.MonkeyPatch, path: Path, mode: int, owner: int, *, read_only: bool) -> None:
    """As if the file were there like that: who is not root can make neither."""
    found = os.stat_result((0o100000 | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    flags = SimpleNamespace(f_flag=os.ST_RDONLY if read_only else 0)
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda asked, **how: found if asked == path else real(asked, **how))
    monkeypatch.setattr(os, "statvfs", {path: flags}.__getitem__)


@pytest.mark.parametrize(
    ("mode", "owner", "read_only"),
    [
        (0o600, SOMEBODY, False),
        (0o400, SOMEBODY, False),
        (0o700, ROOT, False),
        (0o640, ROOT, False),  # given to a group
        (0o440, ROOT, False),
        (0o644, ROOT, True),  # Kubernetes, unless told otherwise
        (0o440, ROOT, True),  # Kubernetes with `fsGroup`, systemd
        (0o444, ROOT, True),  # Docker's services
        (0o644, SOMEBODY, True),
    ],
)
def test_a_secret_that_is_ones_own_or_was_mounted_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    mode: int,
    owner: int,
    read_only: bool,  # noqa: FBT001
) -> None:
    mounted(monkeypatch, tmp_path, mode, owner, read_only=read_only)
    refuse_exposed(tmp_path)


@pytest.mark.parametrize(
    ("mode", "owner"),
    [(0o640, SOMEBODY), (0o604, SOMEBODY), (0o644, ROOT), (0o660, ROOT), (0o444, ROOT), (0o602, ROOT), (0o620, ROOT)],
)
def test_a_secret_that_others_can_read_or_change_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, owner: int
) -> None:
    mounted(monkeypatch, tmp_path, mode, owner, read_only=False)
    with pytest.raises(SluiceError, match="others on this machine may read or change it: run `chmod 600 "):
        refuse_exposed(tmp_path)


def test_what_a_link_names_is_what_counts(tmp_path: Path) -> None:
    """Kubernetes mounts links, and every link is open to all."""
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_bytes(b"hidden")
    (tmp_path / "link").symlink_to(secret)
    assert read_private(tmp_path / "link") == b"hidden"
    secret.chmod(0o644)
    with pytest.raises(SluiceError, match="chmod"):
        read_private(tmp_path / "link")

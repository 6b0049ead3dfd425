"""Connection files where their folder cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import SluiceError
from sluice.user_files import ConnectionFiles

ADMINISTRATOR = {"bootstrap.servers": "b:1", "sasl.username": "admin", "sasl.password": "secret"}


@pytest.mark.usefixtures("read_only")
def test_a_file_that_is_there_is_read_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "crm.properties").touch(0o600)
    (tmp_path / "crm.properties").write_text("sasl.mechanism=SCRAM-SHA-256\nsasl.password=own\n")
    assert ConnectionFiles(tmp_path).ensure("crm", ADMINISTRATOR) == ("SCRAM-SHA-256", "own")


@pytest.mark.usefixtures("read_only")
def test_a_password_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    files = ConnectionFiles(tmp_path)
    with pytest.raises(SluiceError, match=r"cannot be written to /.*/crm\.properties \(Read-only file system\)"):
        files.ensure("crm", ADMINISTRATOR)
    with pytest.raises(SluiceError, match=r"cannot be written to /.*/\.crm\.next \(Read-only file system\)"):
        files.prepare("crm", ADMINISTRATOR, "SCRAM-SHA-256")

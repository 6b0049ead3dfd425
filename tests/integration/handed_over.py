"""A partner's folder and what it does in it: nothing of ours but what was handed over."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from sluice.model import PartnerId
from tests.integration.installation import Installation


class Kit:
    def __init__(self, folder: Path, partner: PartnerId) -> None:
        self.partner = partner
        self.folder = folder
        self.log = folder / "consumer.log"

    @classmethod
    def of(cls, installation: Installation, partner: PartnerId) -> Self:
        """Made anew."""
        kit = cls(installation.folder / f"{partner}-kit", partner)
        done = installation.run("partner-kit", partner, "--out", str(kit.folder))
        assert done.returncode == 0, done.stderr
        return kit

    def consume(self, *, status: int = 0) -> str:
        """To the end of what is there; what the consumer said."""
        command = self._command("--once")
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def consuming(self) -> Iterator[subprocess.Popen[bytes]]:
        """A consumer that goes on; killed in the end."""
        with self.log.open("ab") as file:
            process = subprocess.Popen(self._command(), cwd=self.folder, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def records(self) -> dict[str, dict[str, Any]]:
        """What somebody reads who reads the table beside the consumer; nothing before that has read to the end once."""
        if not self.ask("SELECT name FROM sqlite_master WHERE name = 'customers'"):
            return {}
        return {key: json.loads(record) for key, record in self.ask("SELECT pseudonym, record FROM customers")}

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.folder}/customers.db?mode=ro", uri=True)) as db:
            return db.execute(question).fetchall()

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "customers.db")) as db, db:
            db.execute(statement)

    def files_of_the_table(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.glob("customers.db*"))

    def _command(self, *flags: str) -> list[str]:
        return [sys.executable, "consumer.py", f"{self.partner}.properties", *flags]

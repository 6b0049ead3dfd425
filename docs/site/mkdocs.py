"""Has MkDocs build a folder, and fail on whatever it warns of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def build(mkdocs: Path, configuration: Path) -> int:
    """The exit status. Never with `--quiet`, which takes warnings away before `strict` can count them."""
    command = [str(mkdocs), "build", "--strict", "--config-file", str(configuration)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # said in requirements.txt
    return subprocess.run(command, check=False, env=environment).returncode  # noqa: S603 - our own

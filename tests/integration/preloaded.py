"""Everything that any command imports, for the process that they are forked from."""

from __future__ import annotations

from importlib.metadata import entry_points

import stream_processors.providers.setup
import stream_processors.returns.setup
import stream_processors.sharing.setup  # noqa: F401
from sluice.cli import GROUP

for command in entry_points(group=GROUP):
    command.load()

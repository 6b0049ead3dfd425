"""`python -m docs.site FOLDER SITE`: pages are laid out in FOLDER, beside MkDocs in `venv`, and built into SITE."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.site.layout import lay_out
from docs.site.mkdocs import build

folder, site = map(Path, sys.argv[1:])
lay_out(folder, site)
sys.exit(build(folder / "venv/bin/mkdocs", folder / "mkdocs.yaml"))

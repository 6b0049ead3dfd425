"""Compiles what every record passes through, with mypyc, when there is a compiler; without one it stays Python.

The same source either way. `SLUICE_PURE=1 pip install .` compiles nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "sluice/layout.py",
    "sluice/partitioning.py",
    "sluice/precedents.py",
    "sluice/projection.py",
    "sluice/stored.py",
    "sluice/wire.py",
    "stream_processors/sharing/batch.py",
    "stream_processors/sharing/disclosing.py",
    "stream_processors/sharing/folding.py",
    "stream_processors/sharing/output.py",
    "stream_processors/sharing/parties.py",
    "stream_processors/sharing/partition.py",
    "stream_processors/sharing/pipeline.py",
    "stream_processors/sharing/refusals.py",
    "stream_processors/sharing/standing.py",
    "stream_processors/sharing/view.py",
)
PURE = "SLUICE_PURE"
_CHECKED = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")
"""Types are checked elsewhere, with everything installed; a build has only its own requirements."""


class Kernel(BuildHookInterface[Any]):
    """In an editable install the extensions stand beside the modules, and Python prefers them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable":
            packages = [root / package for package in ("sluice", "stream_processors")]
            for stale in (*root.glob("sluice__mypyc.*.so"), *(one for each in packages for one in each.rglob("*.so"))):
                stale.unlink()  # it would go on in the place of newer source
        if os.environ.get(PURE):
            return
        try:
            made = compile_all(root)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - no compiler, no mypyc, no headers: all the same here
            self.app.display_warning(f"Sluice is installed as pure Python; it could not be compiled: {error}")
            return
        if version == "editable":
            for target, extension in made.items():
                shutil.copy2(extension, root / target)
        else:
            build_data["force_include"].update({str(extension): target for target, extension in made.items()})
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def compile_all(root: Path) -> dict[str, Path]:
    """The extensions that were built, by the place in the tree that they belong to."""
    from mypyc.build import mypycify  # noqa: PLC0415 - not needed for a pure install
    from setuptools import Distribution  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    folder, before = root / "build" / "compiled", Path.cwd()
    shutil.rmtree(folder, ignore_errors=True)
    os.chdir(root)  # mypyc names modules after their paths
    try:
        extensions = mypycify([*_CHECKED, *COMPILED], opt_level="3", target_dir=str(folder / "c"), group_name="sluice")
        command = build_ext(Distribution({"name": "sluice", "ext_modules": extensions}))
        command.build_temp, command.build_lib = str(folder / "objects"), str(folder / "lib")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    built = sorted((folder / "lib").glob("**/*.so"))
    return {str(one.relative_to(folder / "lib")): one for one in built}

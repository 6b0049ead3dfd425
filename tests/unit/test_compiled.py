"""Which form of the compiled modules the tests run on: what is tested has to be what is there to read."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from hatch_build import COMPILED
from sluice.cli import cli
from sluice.form import form

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("source", COMPILED)
def test_an_extension_is_not_older_than_its_source(source: str) -> None:
    """Python would run what was, not what is: `make setup` compiles anew."""
    module = import_module(source.removesuffix(".py").replace("/", "."))
    assert module.__file__ is not None
    if form() == "compiled":
        assert Path(module.__file__).stat().st_mtime >= (ROOT / source).stat().st_mtime
    else:
        assert Path(module.__file__) == ROOT / source


def test_all_modules_run_in_the_form_that_was_asked_for() -> None:
    """`make pure` asks for pure Python."""
    assert form() == os.environ.get("SLUICE_FORM", form())
    assert form() in CliRunner().invoke(cli, ["--version"]).output

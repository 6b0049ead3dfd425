"""What the repository's documents promise is there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from sluice.metrics import catalogue
from sluice.redaction import TRANSFORMS
from sluice.settings import Settings
from stream_processors.providers.metrics import Metrics as ProvidersMetrics
from stream_processors.returns.metrics import Metrics as ReturnsMetrics
from stream_processors.sharing.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("schemas/*.md")]
PATH = re.compile(r"`((?:sluice|producers|stream_processors|schemas|deploy|tests|docs)/[\w./-]*)")
LINK = re.compile(r"\]\(([^)#:]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(?:\w+::)?(\w+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_named_in_documents_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [path for path in PATH.findall(text) if not (ROOT / path.rstrip("./")).exists()]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert missing == []


def test_every_row_of_the_failure_table_names_a_test_that_exists() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Failure table")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 30
    for row in rows:
        found = TEST.search(row)
        assert found, row
        path, name = found.groups()
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), row


def test_every_setting_is_in_the_reference_and_nothing_else_is() -> None:
    text = (ROOT / "docs/operating.md").read_text(encoding="utf-8").split("## Settings")[1].split("\n## ")[0]
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert documented == set(_leaves(Settings, ""))


def _leaves(model: type[BaseModel], prefix: str) -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += _leaves(inner, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def test_what_processes_count_is_what_is_declared() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    ReturnsMetrics(registry)
    ProvidersMetrics(registry)
    declared = {
        metric.name.removesuffix("_total") for metric in catalogue.EVERYTHING if metric not in catalogue.OF_EACH
    }
    assert {family.name for family in registry.collect()} == declared


def test_every_transform_is_in_the_table_and_nothing_else_is() -> None:
    table = (ROOT / "docs/transforms.md").read_text(encoding="utf-8").split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert {re.findall(r"\w+", row)[0] for row in rows} == set(TRANSFORMS)


def test_redacted_values_are_made_by_the_redaction_module_alone() -> None:
    makers: set[str] = set()
    for folder in ("sluice", "producers", "stream_processors"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                named = (
                    (getattr(node.func, "id", ""), getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ()
                )
                if "Redacted" in named:
                    makers.add(path.relative_to(ROOT).as_posix())
    assert makers == {"sluice/redaction/redacted.py"}


def test_the_wheel_holds_our_four_packages_and_their_data(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    pure = {**os.environ, "SLUICE_PURE": "1"}
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(ROOT)], check=True, env=pure)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "sluice",
        "producers",
        "stream_processors",
        "schemas",
    }
    for needed in (
        "schemas/customer_profile/v1.avsc",
        "schemas/purposes.txt",
        "schemas/countries.txt",
        "schemas/obligations.txt",
        "sluice/law/minimisation.yaml",
        "sluice/law/packs/EU.yaml",
        "sluice/law/packs/data_classes.yaml",
        "sluice/local/artefacts.lock",
        "sluice/redaction/sparse_zip3.txt",
        "sluice/partner_kit/delivered/consumer.py",
        "sluice/partner_kit/delivered/kcat.sh",
        "sluice/partner_kit/delivered/README.md",
        "sluice/partner_kit/delivered/requirements.txt",
        "stream_processors/admin/templates/overview.html",
        "stream_processors/admin/templates/style.css",
    ):
        assert needed in names


def test_versions_of_the_documents_agree() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

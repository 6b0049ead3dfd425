"""Lays the site's pages out: the repository's documents as they are, beside pages that are made of the code."""

from __future__ import annotations

import shutil
from pathlib import Path
from posixpath import relpath

import yaml

from docs.site import links
from docs.site.contents import Page, Section, contents, navigation, paths
from docs.site.reference.alerts import alerts
from docs.site.reference.commands import commands
from docs.site.reference.law import jurisdictions, law
from docs.site.reference.metrics import metrics
from docs.site.reference.reasons import reasons
from docs.site.reference.schemas import schemas
from docs.site.reference.settings import settings
from docs.site.reference.transforms import transforms

ROOT = Path(__file__).parents[2]
_OWN = Path(__file__).parent
_SETTINGS = "reference/settings.md"
_PATTERNS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "schemas/README.md", "docs/**/*.md")


def lay_out(folder: Path, site: Path) -> None:
    """Into `folder`: pages, and the configuration by which MkDocs builds them into `site`."""
    there = documents()
    made = reference()
    navigated = contents(there, _reference(made))
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    pictures: set[str] = set()
    for path in there:
        text = (ROOT / path).read_text(encoding="utf-8")
        found = [picture for picture in links.pictures(text, path) if (ROOT / picture).is_file()]
        pictures |= set(found)
        _write(pages / path, links.for_site(text, path, {*there, *found}, _is_in_the_repository))
    for path, (_, text) in made.items():
        _write(pages / path, text)
    for picture in pictures:
        _copy(ROOT / picture, pages / picture)
    _copy(_OWN / "style.css", pages / "style.css")
    configuration = {
        "INHERIT": relpath(_OWN / "mkdocs.yaml", folder),
        "docs_dir": "pages",
        "site_dir": relpath(site, folder),
        "nav": navigation(navigated),
    }
    _write(folder / "mkdocs.yaml", yaml.safe_dump(configuration, sort_keys=False))


def documents() -> list[str]:
    """Paths of the repository's documents that are pages."""
    return sorted({path.relative_to(ROOT).as_posix() for pattern in _PATTERNS for path in ROOT.glob(pattern)})


def reference() -> dict[str, tuple[str, str]]:
    """Pages that are made of the code: title in the navigation, and text, by path."""
    of_law = {f"reference/law/{code}.md": found for code, found in jurisdictions().items()}
    return {
        "reference/commands.md": ("Commands", commands()),
        _SETTINGS: ("Settings", settings(ROOT, _SETTINGS)),
        "reference/metrics.md": ("Metrics", metrics()),
        "reference/alerts.md": ("Alerts", alerts()),
        "reference/schemas.md": ("Schemas", schemas()),
        "reference/reasons.md": ("Reasons and causes", reasons()),
        "reference/transforms.md": ("Transforms", transforms()),
        "reference/law/index.md": ("Law packs", law()),
        **of_law,
    }


def _reference(made: dict[str, tuple[str, str]]) -> list[Page | Section]:
    parts = {path: Page(title, path) for path, (title, _) in made.items()}
    of_law = tuple(page for path, page in parts.items() if path.startswith("reference/law/"))
    return [*(page for page in parts.values() if page not in of_law), Section("Law packs", of_law)]


def everything() -> list[str]:
    """Paths of all pages that are in the navigation."""
    return list(paths(contents(documents(), _reference(reference()))))


def _is_in_the_repository(path: str) -> bool:
    return (ROOT / path).exists()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)

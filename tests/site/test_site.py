"""The site as `make site` has built it: everything is in it, and a reader's browser asks nobody else."""

from __future__ import annotations

import json
import os
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from docs.site.layout import documents, everything
from docs.site.mkdocs import build
from docs.site.reference.commands import contexts
from docs.site.reference.settings import every_setting
from schemas import catalogue
from sluice.law.loading import shipped_law
from sluice.metrics.alerts import CAUSES
from sluice.metrics.catalogue import EVERYTHING
from sluice.metrics.objectives import OBJECTIVES, alerts
from sluice.model import Cause, Reason
from sluice.redaction import TRANSFORMS

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "site"
MKDOCS = ROOT / "build/mkdocs/venv/bin/mkdocs"
ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
OF_STYLES = re.compile(r"(?:url\(|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


@pytest.fixture(scope="module", autouse=True)
def _site() -> None:
    if (BUILT / "index.html").exists():
        return
    if os.environ.get("REQUIRE_SITE") == "1":
        pytest.fail("the site is not built: run this as `make site-test`")
    pytest.skip("no site: `make site` builds it")


class Loads(HTMLParser):
    """What a browser fetches for a page by itself. A link that somebody may follow is no such thing."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "srcset", "data", "poster"} or (name == "href" and tag in {"link", "use", "image"}):
                self.found.append(value or "")


def loads(html: str) -> list[str]:
    parser = Loads()
    parser.feed(html)
    return [*parser.found, *OF_STYLES.findall(html)]


def page(name: str) -> str:
    """Without tags, as somebody reads it."""
    return unescape(re.sub(r"<[^>]+>", "", (BUILT / name).read_text(encoding="utf-8")))


def headings(name: str) -> list[str]:
    found = re.findall(r"<h[23][^>]*>(.*?)<a class=\"headerlink\"", (BUILT / name).read_text(encoding="utf-8"))
    return [unescape(re.sub(r"<[^>]+>", "", one)) for one in found]


def rows(name: str) -> set[str]:
    """What the rows of the page's tables are about: the code in their first cells."""
    text = (BUILT / name).read_text(encoding="utf-8")
    return {unescape(one) for one in re.findall(r"<tr>\s*<td><code>(.*?)</code>", text)}


def test_every_document_is_a_page_in_the_navigation() -> None:
    assert set(documents()) <= set(everything())
    for path in everything():
        built = BUILT / path.replace("README.md", "index.md").replace(".md", ".html")
        assert built.exists(), path
        home = (BUILT / "index.html").read_text(encoding="utf-8")
        assert f'href="{built.relative_to(BUILT).as_posix()}"' in home, f"{path} is not in the navigation"


def test_every_command_is_in_the_reference() -> None:
    paths = [context.command_path for context in contexts()]
    assert len(paths) > 30
    assert set(paths) <= set(headings("reference/commands.html"))


def test_every_option_is_in_the_reference() -> None:
    text = page("reference/commands.html")
    options = [option for one in contexts() for parameter in one.command.params for option in parameter.opts]
    assert [option for option in options if option.startswith("--") and option not in text] == []


def test_every_schema_is_in_the_reference() -> None:
    assert set(catalogue.names()) <= set(headings("reference/schemas.html"))
    for name in catalogue.names():
        fields = {field["name"] for field in json.loads(catalogue.text(name))["fields"]}
        assert fields <= rows("reference/schemas.html"), name


def test_every_reason_and_cause_is_in_the_reference() -> None:
    assert {*Reason, *Cause} <= rows("reference/reasons.html")


def test_every_setting_is_in_the_reference() -> None:
    assert {setting.name for setting in every_setting()} == rows("reference/settings.html")


def test_every_metric_is_in_the_reference() -> None:
    assert {metric.name for metric in EVERYTHING} == rows("reference/metrics.html")


def test_every_alert_is_in_the_reference_and_leads_to_what_to_do() -> None:
    html = (BUILT / "reference/alerts.html").read_text(encoding="utf-8")
    for alert in [*CAUSES, *(alert for objective in OBJECTIVES for alert in alerts(objective))]:
        assert alert.name in headings("reference/alerts.html")
        assert f'href="../docs/alerts.html#{alert.name.lower()}"' in html


def test_every_transform_is_in_the_reference() -> None:
    assert set(TRANSFORMS) == rows("reference/transforms.html")


def test_every_rule_of_every_law_is_in_the_reference() -> None:
    for code, pack in shipped_law().packs.items():
        assert {rule.id for rule in pack.rules} <= set(headings(f"reference/law/{code}.html")), code


def test_nothing_is_loaded_from_elsewhere() -> None:
    pages = sorted(BUILT.rglob("*.html"))
    assert len(pages) > 60
    found = {(path.name, one) for path in pages for one in loads(path.read_text("utf-8")) if ELSEWHERE.match(one)}
    found |= {(path.name, one) for path in BUILT.rglob("*.css") for one in OF_STYLES.findall(path.read_text("utf-8"))}
    assert found == set()


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        "<style>body { background: url(http://img.example/x.png) }</style>",
        '<img src="HTTP://img.example/x.png">',
    ],
)
def test_what_comes_from_elsewhere_would_be_found(html: str) -> None:
    assert [one for one in loads(html) if ELSEWHERE.match(one)]


def test_what_a_page_loads_is_there() -> None:
    for path in BUILT.rglob("*.html"):
        for one in loads(path.read_text(encoding="utf-8")):
            local = one.split("?")[0].split("#")[0]
            if local and path.name != "404.html" and not local.startswith(("data:", "/")):
                assert (path.parent / local).exists(), f"{path}: {one}"


def test_search_knows_every_page() -> None:
    index = json.loads((BUILT / "search/search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {path.replace("README.md", "index.md").replace(".md", ".html") for path in everything()} <= found


@pytest.mark.parametrize("wrong", ["[x](nowhere.md)", "[x](index.md#nowhere)", "![x](nowhere.png)", "[x](/index.md)"])
def test_a_wrong_link_fails_the_build(wrong: str, tmp_path: Path) -> None:
    """As the site is configured, with two pages of which one is wrong."""
    shutil.copytree(ROOT / "docs/site", tmp_path / "own", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    pages = tmp_path / "pages"
    pages.mkdir()
    shutil.copy(ROOT / "docs/site/style.css", pages / "style.css")
    configuration = {"INHERIT": "own/mkdocs.yaml", "docs_dir": "pages", "nav": [{"A": "index.md"}, {"B": "b.md"}]}
    (tmp_path / "mkdocs.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    (pages / "index.md").write_text("# A\n", encoding="utf-8")
    (pages / "b.md").write_text("# B\n\n[right](index.md#a)\n", encoding="utf-8")
    assert build(MKDOCS, tmp_path / "mkdocs.yaml") == 0
    (pages / "b.md").write_text(f"# B\n\n{wrong}\n", encoding="utf-8")
    assert build(MKDOCS, tmp_path / "mkdocs.yaml") != 0

"""What the site's pages are made of: links that hold, text that means what it says, a place for every document."""

from __future__ import annotations

import re

import pytest

from docs.site import links, markdown
from docs.site.contents import Page, Section, contents, navigation, paths
from docs.site.layout import ROOT, documents, everything, reference
from docs.site.reference.schemas import CARRIED
from docs.site.reference.settings import every_setting
from sluice import topics
from sluice.model import PartnerId
from sluice.provisioning import Groups, desired
from tests.unit.installation import HOSHI, SERVICE_PROVIDER, TASK, Installation

THERE = {"README.md", "docs/a.md", "docs/adr/0001-x.md", "docs/a/picture.png"}
OUTSIDE = {"sluice/model.py", "deploy/demo", "deploy"}


@pytest.mark.parametrize(
    ("place", "written", "in_the_site"),
    [
        ("README.md", "[a](docs/a.md)", "[a](docs/a.md)"),
        ("docs/a.md", "[a](adr/0001-x.md#why)", "[a](adr/0001-x.md#why)"),
        ("docs/a.md", "![picture](a/picture.png)", "![picture](a/picture.png)"),
        ("docs/a.md", "[here](#there)", "[here](#there)"),
        ("docs/a.md", "[them](https://example.com/x)", "[them](https://example.com/x)"),
        ("docs/a.md", "[the words](../sluice/model.py)", "the words (`sluice/model.py`)"),
        ("docs/a.md", "[`sluice/model.py`](../sluice/model.py)", "`sluice/model.py`"),
        ("README.md", "[deploy/demo](deploy/demo/)", "`deploy/demo`"),
        ("docs/a.md", "[gone](gone.md)", "[gone](gone.md)"),
        ("docs/a.md", "`[x](../sluice/model.py)`", "`[x](../sluice/model.py)`"),
        ("docs/a.md", "```\n[x](../sluice/model.py)\n```\n", "```\n[x](../sluice/model.py)\n```\n"),
    ],
)
def test_a_link_to_what_is_no_page_becomes_its_name(place: str, written: str, in_the_site: str) -> None:
    assert links.for_site(written, place, THERE, OUTSIDE.__contains__) == in_the_site


def test_a_piece_of_a_document_keeps_its_links_elsewhere() -> None:
    piece = "[a](transforms.md), [b](#secrets), [c](https://example.com), `[d](e)`"
    assert links.moved(piece, "docs/operating.md", "reference/settings.md") == (
        "[a](../docs/transforms.md), [b](../docs/operating.md#secrets), [c](https://example.com), `[d](e)`"
    )


def test_pictures_are_named_from_the_repositorys_root() -> None:
    assert links.pictures("![a](operating/page.png) [b](c.md) `![d](e.png)`", "docs/operating.md") == [
        "docs/operating/page.png"
    ]


def test_text_means_nothing_but_its_code() -> None:
    assert markdown.prose("a_b *c* <d> | [e](f) & `g|<h>`") == r"a\_b \*c\* &lt;d&gt; \| \[e\](f) &amp; `g|<h>`"
    assert markdown.prose("two\n  lines") == "two lines"
    assert markdown.code("") == ""
    assert markdown.code("a `b`") == "`` a `b` ``"


def test_a_column_that_says_nothing_is_left_out() -> None:
    rows = [("a", "", "b"), ("c", "", "")]
    assert markdown.table(("x", "y", "z"), rows) == "| x | z |\n| --- | --- |\n| a | b |\n| c |  |"


def test_decisions_are_numbered_and_a_section_without_pages_is_left_out() -> None:
    found = contents(["docs/adr/0004-byte-level-projection.md"], [Page("x", "y.md")])
    assert {"docs/adr/0004-byte-level-projection.md", "y.md"} <= set(paths(found))
    assert "4. Byte level projection" in str(navigation(found))
    assert navigation([Section("nothing", ())]) == []


def test_every_document_has_a_place_and_one_alone() -> None:
    placed = everything()
    assert len(placed) == len(set(placed))
    assert set(placed) == {*documents(), *reference()}
    every = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert every <= set(placed), "see docs/site/contents.py"


def test_a_page_of_the_code_says_it_without_breaking_its_tables() -> None:
    for path, (_, text) in reference().items():
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            columns = {len(re.findall(r"(?<!\\)\|", re.sub(r"``.*?``|`[^`]*`", "", row))) for row in table.splitlines()}
            assert len(columns) == 1, (path, table[:200])


def test_every_topic_with_a_schema_is_told_with_the_one_that_is_registered() -> None:
    provider = {**SERVICE_PROVIDER, "partner": "adresso", "task": TASK}
    wanted = desired(Installation(HOSHI, provider).contracts, Groups("a", "b", "c"))
    customers = {topics.subject(topics.customers(PartnerId(one))) for one in ("adresso", "hoshi-card")}
    subjects = {
        re.sub(r"adresso|hoshi-card", "<id>", one.subject) for one in wanted.schemas if one.subject not in customers
    }
    assert {topics.subject(topic) for topic in CARRIED} == {*subjects, topics.subject(topics.CUSTOMER_UPDATES)}


def test_a_setting_has_the_default_that_the_guide_tells() -> None:
    told = re.findall(r"^\| `([a-z_.]+)` \|([^|]*)\|", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)
    defaults = {name: default.strip().strip("`") for name, default in told}
    for setting in every_setting():
        assert setting.default in {defaults[setting.name], ""}, setting.name

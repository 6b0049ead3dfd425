"""What is in the site, and where a reader finds it: a tutorial, how-to guides by reader, reference, explanation.

The four kinds are Diátaxis' (https://diataxis.fr). A document of the repository is named by its path, and so is a page
that is made of the code, below `reference/`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    """As the navigation has it; the page's own title is in the page."""
    path: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    parts: tuple[Page | Section, ...]


HOME = Page("Home", "README.md")
TUTORIAL = Section("Tutorial", (Page("Tutorial", "docs/tutorial.md"),))
GUIDES = Section(
    "How-to guides",
    (
        Section(
            "CRM team",
            (Page("Publish customers and consents", "docs/publishing.md"), Page("Privacy signals", "docs/signals.md")),
        ),
        Section(
            "Privacy officer",
            (Page("Write a contract", "docs/contracts.md"), Page("Simulate before sharing", "docs/simulating.md")),
        ),
        Section("Partner", (Page("Read your topics, and answer", "docs/partners.md"),)),
        Section(
            "Operator",
            (
                Page("Bring partners in and out", "docs/onboarding.md"),
                Page("Operate", "docs/operating.md"),
                Page("Alerts, and what to do", "docs/alerts.md"),
                Page("Deploy with containers", "docs/deploying.md"),
                Page("Capacity", "docs/capacity.md"),
                Page("Verify", "docs/verifying.md"),
                Page("Rejected inputs, lost evidence", "docs/rejected.md"),
                Page("What partners return", "docs/returns.md"),
                Page("Service providers", "docs/providers.md"),
            ),
        ),
        Section(
            "Engineer",
            (Page("Contribute", "CONTRIBUTING.md"), Page("Change a schema", "schemas/README.md")),
        ),
    ),
)
EXPLANATION = Section(
    "Explanation",
    (
        Page("Architecture", "ARCHITECTURE.md"),
        Page("How it is decided", "docs/deciding.md"),
        Page("Rules that the code cites", "docs/rules.md"),
        Section(
            "Is it so?",
            (
                Page("Reliability", "docs/reliability.md"),
                Page("Simulation of the loop", "docs/simulation.md"),
                Page("Mutation testing", "docs/mutation.md"),
                Page("Benchmarks", "docs/benchmarks.md"),
            ),
        ),
    ),
)
_TRANSFORMS = Page("Transforms explained", "docs/transforms.md")
_CHANGELOG = Page("Changelog", "CHANGELOG.md")
_DECISIONS = "docs/adr/"


def contents(documents: Collection[str], made: Collection[Page | Section]) -> tuple[Page | Section, ...]:
    """The navigation: every document that is named above, the decisions among `documents`, pages `made` of the code."""
    decisions = (Page(_decision(path), path) for path in sorted(documents) if path.startswith(_DECISIONS))
    explanation = Section(EXPLANATION.title, (*EXPLANATION.parts, Section("Decisions", tuple(decisions))))
    reference = Section("Reference", (*made, _TRANSFORMS, _CHANGELOG))
    return (HOME, TUTORIAL, GUIDES, reference, explanation)


def _decision(path: str) -> str:
    """`docs/adr/0004-byte-level-projection.md` is `4. Byte level projection`."""
    number, _, words = path.removeprefix(_DECISIONS).removesuffix(".md").partition("-")
    return f"{int(number)}. {words.replace('-', ' ').capitalize()}"


def paths(parts: Collection[Page | Section]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Section):
            yield from paths(part.parts)
        else:
            yield part.path


def navigation(parts: Collection[Page | Section]) -> list[dict[str, object]]:
    """As MkDocs has it; a section without pages is left out."""
    return [
        {part.title: navigation(part.parts) if isinstance(part, Section) else part.path}
        for part in parts
        if isinstance(part, Page) or part.parts
    ]

"""Whether the source states what laws ask about a customer where the settings say that it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from sluice.errors import SluiceError
from sluice.facts import AS_IN_OUR_PROFILE, FactPaths
from sluice.source_schema import SourceSchema


def misplaced_facts(paths: FactPaths, schema: SourceSchema) -> Iterator[str]:
    """Settings that lead nowhere. A default that leads nowhere is no mistake: this source does not state that fact."""
    for name, path in asdict(paths).items():
        if path == getattr(AS_IN_OUR_PROFILE, name):
            continue
        try:
            schema.leaf(path)
        except SluiceError as error:
            yield f"settings: `facts.{name}`: {error}"


def tells_last_change(paths: FactPaths, schema: SourceSchema) -> bool:
    """Whether the source says when it last changed a customer, in milliseconds, as retention needs."""
    try:
        return schema.leaf(paths.updated_at).is_millis
    except SluiceError:
        return False

"""Every transform that a contract may name, with its options."""

from __future__ import annotations

import inspect

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.site.markdown import code, page, prose, table
from sluice.redaction import TRANSFORMS
from sluice.redaction.rule import Rule


def transforms() -> str:
    """The page."""
    rows = [(code(name), prose(inspect.getdoc(kind) or ""), _options(kind)) for name, kind in TRANSFORMS.items()]
    return page(
        "# Transforms",
        prose(
            "All take `required: true`: without a value its customer is withheld. The option marked with * may be "
            "written alone: `{truncate: 10}`."
        ),
        table(("transform", "gives", "options"), rows),
        "What each tells the partner: [transforms explained](../docs/transforms.md).",
    )


def _options(kind: type[Rule]) -> str:
    own = {name: field for name, field in kind.model_fields.items() if name not in Rule.model_fields}
    return ", ".join(_option(name, field, alone=name == kind.shorthand) for name, field in own.items())


def _option(name: str, field: FieldInfo, *, alone: bool) -> str:
    default = "" if field.default in (None, PydanticUndefined) else f" ({field.default})"
    return f"{code(name)}{prose('*') if alone else ''}{default}"

"""A plan in a file: carried out only while what it saw is still true."""

from __future__ import annotations

import json
from pathlib import Path

from sluice.errors import SluiceError
from sluice.planning import Plan


def save(plan: Plan, path: Path) -> None:
    path.write_text(json.dumps(plan.as_json(), indent=2) + "\n", encoding="utf-8")


def refuse_stale(path: Path, plan: Plan) -> None:
    """Raises SluiceError unless the saved plan is this one."""
    try:
        digest = json.loads(path.read_text(encoding="utf-8"))["digest"]
    except FileNotFoundError:
        raise SluiceError(f"There is no plan at {path}: `sluice plan --out {path}` writes one.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise SluiceError(f"{path} is no plan: `sluice plan --out {path}` writes one.") from None
    if digest != plan.digest:
        raise SluiceError(f"What the plan in {path} saw has changed since: plan again, and look at it.")

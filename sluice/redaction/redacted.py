"""The only door for a value on its way to a partner."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.redaction.rule import Customer, Rule, Target, Untransformable


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value that has been through its contract's transform. Made here only; the encoder takes nothing else."""

    value: object


def redact(rule: Rule, value: object, target: Target, customer: Customer) -> Redacted:
    """The value as the partner may see it. Total: a value that the transform cannot take becomes null."""
    if value is None:
        return Redacted(None)
    try:
        return Redacted(rule.apply(value, target, customer))
    except Untransformable:
        return Redacted(None)

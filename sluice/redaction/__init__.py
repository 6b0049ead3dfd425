"""Transforms: what becomes of a field's value on its way to one partner. docs/transforms.md lists them."""

from sluice.redaction.digests import PseudonymOf
from sluice.redaction.redacted import Redacted, redact
from sluice.redaction.rule import Customer, Rule, Target, Untransformable
from sluice.redaction.transforms import TRANSFORMS, VERSION, FieldRule, parse_rule
from sluice.redaction.whole import Keep

__all__ = [
    "TRANSFORMS",
    "VERSION",
    "Customer",
    "FieldRule",
    "Keep",
    "PseudonymOf",
    "Redacted",
    "Rule",
    "Target",
    "Untransformable",
    "parse_rule",
    "redact",
]

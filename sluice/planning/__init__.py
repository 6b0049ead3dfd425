"""What an installation lacks of what its contracts need, and has beside it. Pure."""

from sluice.planning.actual import Actual, ActualTopic, Subject
from sluice.planning.comparing import difference
from sluice.planning.plan import Finding, Plan
from sluice.planning.steps import Removal, Step

__all__ = ["Actual", "ActualTopic", "Finding", "Plan", "Removal", "Step", "Subject", "difference"]

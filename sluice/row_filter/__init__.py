"""Row filters: which customers a contract is about, by the values of their fields."""

from sluice.row_filter.condition import Age, AgeBounds, Condition, OneOf, Presence, Range, Written, condition
from sluice.row_filter.selection import Find, RowFilter

__all__ = ["Age", "AgeBounds", "Condition", "Find", "OneOf", "Presence", "Range", "RowFilter", "Written", "condition"]

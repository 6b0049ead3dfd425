"""The source schema as contracts see it: leaves, addressed by field path. Any Avro record that the registry knows."""

from sluice.source_schema.leaf import Leaf
from sluice.source_schema.place import UNCATEGORISED
from sluice.source_schema.schema import NoSuchLeaf, SourceSchema, leaves, record_name

__all__ = ["UNCATEGORISED", "Leaf", "NoSuchLeaf", "SourceSchema", "leaves", "record_name"]

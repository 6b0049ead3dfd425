"""What a partner's records look like: derived from contract and source schema."""

from __future__ import annotations

import json

from sluice import field_path
from sluice.avro import Json
from sluice.contract.checked import CheckedContract


def partner_field(path: str) -> str:
    """The name under which a source path stands in partner records: flat, so that a record is a row."""
    return field_path.parse(path).flat


def partner_schema(checked: CheckedContract) -> str:
    """The Avro schema of the partner's records: JSON text.

    Every field is nullable with default null, so that narrowing the contract never breaks a reader.
    """
    defined: set[str] = set()
    fields = [
        {
            "name": partner_field(path),
            "type": ["null", *(_defined_once(branch, defined) for branch in rule.output(checked.leaves[path]))],
            "default": None,
            "doc": checked.leaves[path].doc,
            "data_category": checked.leaves[path].category,
        }
        for path, rule in checked.contract.shared_fields.items()
    ]
    name = checked.partner.replace("-", "_")
    return json.dumps({"type": "record", "name": "Customer", "namespace": f"partner.{name}", "fields": fields})


def _defined_once(avro: Json, defined: set[str]) -> Json:
    """A named type is spelled out where it stands first and named afterwards, as Avro wants it."""
    if isinstance(avro, list):
        return [_defined_once(branch, defined) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    if "name" in avro:
        if avro["name"] in defined:
            return avro["name"]
        defined.add(avro["name"])
        return avro
    return {key: _defined_once(value, defined) if key in ("items", "values") else value for key, value in avro.items()}

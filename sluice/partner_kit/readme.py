"""The README of a kit, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template

from sluice import vocabulary
from sluice.contract.sentence import sentence, span
from sluice.partner_kit.substance import Field, Substance
from sluice.partner_kit.words import in_words

CONTROLS: Mapping[str, str] = {
    "WITHDRAW": "Stop using the record and delete it, with every copy. Acknowledge.",
    "ERASE": "Delete the record and every copy, backups included, and tell those you passed it to. Acknowledge.",
    "CONTRACT_ENDED": "The contract is over for this customer: delete the record and every copy. Acknowledge.",
    "RESTRICT": "Keep the record and do not use it until it comes again. Acknowledge.",
    "RECTIFY": "Take over the new record wherever you copied the old one. Acknowledge.",
}


def text(substance: Substance) -> str:
    contract, connection = substance.checked.contract, substance.connection
    paused = " While one is overdue, you are given nothing new." if contract.limits.pause_when_overdue else ""
    until = (
        f"{contract.valid.until} ({contract.valid.timezone}); then everything is recalled"
        if contract.valid.until
        else "no end"
    )
    return Template(
        resources.files(__package__).joinpath("delivered/README.md").read_text(encoding="utf-8")
    ).substitute(
        name=contract.name,
        partner=substance.partner,
        sentence=sentence(contract),
        contact=substance.contact,
        fields="\n".join(_row(field) for field in substance.fields()),
        obligations=_bullets(vocabulary.obligations()[word] for word in contract.obligations),
        deadline=span(contract.limits.acknowledge_within),
        paused=paused,
        validity=until,
        customers=substance.customers,
        control=substance.control,
        returns=substance.returns,
        bootstrap=connection.bootstrap,
        protocol=connection.protocol,
        mechanism=connection.mechanism,
        registry=connection.registry_url,
        schema_id=substance.schemas[substance.customers].schema_id,
        controls="\n".join(f"| `{kind}` | {todo} |" for kind, todo in CONTROLS.items()),
        nulls_stay=span(substance.nulls_stay),
    )


def _row(field: Field) -> str:
    words = f"{in_words(field.rule)}{'; never null' if field.rule.required else ''}"
    return f"| `{field.name}` | {_cell(field.leaf.doc)} | `{field.leaf.category}` | {_cell(words)} |"


def _cell(words: str) -> str:
    """A bar would end the table's cell."""
    return " ".join(words.split()).replace("|", r"\|")


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "Nothing beside what the law and this contract say."

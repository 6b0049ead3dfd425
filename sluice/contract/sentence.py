"""A contract as a sentence that can be read aloud."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from sluice import redaction, vocabulary
from sluice.contract.document import Contract
from sluice.row_filter import Age, AgeBounds, Condition, OneOf, Presence, Range

_KINDS = {
    "service_provider": "a service provider",
    "group_company": "a group company",
    "corporate_partner": "a corporate partner",
    "third_party_sale": "a buyer of data",
}
_BOUNDS = {"at_least": "at least", "above": "above", "below": "below", "at_most": "at most"}
_HOW = {
    "keep": "",
    "null": " left empty",
    "mask": " masked",
    "truncate": " cut short",
    "birth_year": " as the year alone",
    "age_band": " as an age band",
    "postcode_prefix": " as its beginning alone",
    "geo_round": " rounded",
    "pseudonym": " as a pseudonym",
    "salted_hash": " as a salted hash",
    "match_key": " as a match key",
    "fpe_ff1": " encrypted in its own format",
    "aes_siv": " encrypted",
    "aes_gcm": " encrypted",
    "token": " as a token",
}
"""How a transform reads; another one reads as its name."""
_DECIMAL_UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


def sentence(contract: Contract) -> str:
    """Who gets what, of whom, for what and until when; what never leaves, the limits, the work and the promises."""
    return " ".join([_main(contract), *_dropped(contract), *_limits(contract), *_work(contract), *_promises(contract)])


def _main(contract: Contract) -> str:
    kind = _KINDS[contract.recipient]
    if contract.same_branding is not None:
        kind += f" under {'the same' if contract.same_branding else 'another'} brand"
    given = _listed([_field(path, rule) for path, rule in contract.shared_fields.items()], "and")
    whom = _listed([condition(path, wanted) for path, wanted in contract.where.items()], "and")
    return (
        f"{contract.name} ({contract.partner}), {kind} in {contract.country}, may be given, for {contract.purpose} and "
        f"{_validity(contract)}: {given}; of customers whom the law and their consent allow"
        f"{f', under the brand {contract.brand}' if contract.brand else ''}{f', where {whom}' if whom else ''}."
    )


def _field(path: str, rule: redaction.Rule) -> str:
    names = {transform: name for name, transform in redaction.TRANSFORMS.items()}
    name = names.get(type(rule), "")
    return f"{path}{_HOW.get(name, f' as {name}')}{' (required)' if rule.required else ''}"


def condition(path: str, wanted: Condition) -> str:
    """One condition of a row filter: `address.country is AU or JP`."""
    match wanted:
        case OneOf(values=values):
            return f"{path} is {_listed([_value(value) for value in values], 'or')}"
        case Range():
            return f"{path} is {_bounds(wanted)}"
        case Presence(present=present):
            return f"{path} {'is there' if present else 'is not there'}"
        case Age(age=bounds):
            return f"the age by {path} is {_bounds(bounds)}"


def _bounds(bounds: Range | AgeBounds) -> str:
    written = [(word, getattr(bounds, key)) for key, word in _BOUNDS.items()]
    return _listed([f"{word} {_value(bound)}" for word, bound in written if bound is not None], "and")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _validity(contract: Contract) -> str:
    valid = contract.valid
    until = f" until {_value(valid.until)}" if valid.until else ""
    return f"from {_value(valid.start)}{until} ({valid.timezone})"


def _dropped(contract: Contract) -> Iterator[str]:
    dropped = [path for path, rule in contract.fields.items() if not rule.shared]
    if dropped:
        yield f"It never gets {_listed(dropped, 'or')}."


def _limits(contract: Contract) -> Iterator[str]:
    limits = contract.limits
    if contract.controller:
        yield f"{contract.controller.name} ({contract.controller.jurisdiction}) answers for the data."
    if limits.rate is not None:
        yield f"It may read {_rate(limits.rate)}."
    if limits.retain is not None:
        yield f"It may hold a customer for {span(limits.retain)} after the source's last change."
    yield f"It carries out a recall within {span(limits.acknowledge_within)}."
    if limits.pause_when_overdue:
        yield "While it has not said that it did, it is given nothing new."


def _work(contract: Contract) -> Iterator[str]:
    task, campaigns = contract.task, contract.campaigns
    if task is not None:
        limits = _listed(task.purpose_limits or [contract.purpose], "and")
        until = "" if task.licence.until is None else f" until {_value(task.licence.until)}"
        yield (
            "It is asked once for each customer and state of its data, and may reply within "
            f"{span(task.answer_within)} with {_listed(task.reply, 'and')}, for {limits} alone, "
            f"under {task.licence.source}{until}."
        )
    if campaigns is not None:
        yield (
            f"It sends our campaigns, within {span(campaigns.send_within)}, to those whom it holds then, "
            f"by {campaigns.segment}."
        )


def _promises(contract: Contract) -> Iterator[str]:
    return (vocabulary.obligations()[word] for word in contract.obligations)


def _rate(rate: int) -> str:
    unit, size = next(((unit, size) for unit, size in _DECIMAL_UNITS if rate >= size), ("bytes", 1))
    return f"{rate / size:g} {unit} a second"


def span(duration: timedelta) -> str:
    """In days, else in hours, else as it is."""
    hours, rest = divmod(duration, timedelta(hours=1))
    if rest:
        return str(duration)
    count, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _listed(words: Iterable[str], last: str) -> str:
    *first, end = [*words] or [""]
    return f"{', '.join(first)} {last} {end}" if first else end

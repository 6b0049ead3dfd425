"""Avro's single values, from text, JSON and files with types: what is accepted, and what is expected, in words.

The readers raise one of UNFIT for what does not fit. The caller says so in its own words, for the message of a library
would hold the value.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = Any
"""What a JSON text holds; numbers with a fraction are Decimal, so that none is rounded before its type is known.

A file with types (values.py) may hold more: float, bytes, date, datetime.
"""

AvroValue: TypeAlias = Any
"""A value as fastavro writes it, without logical types: a date is a number of days, a decimal is bytes."""

AvroType: TypeAlias = Any

UNFIT: Final = (ValueError, TypeError, ArithmeticError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_EPOCH_MILLIS = re.compile(r"[0-9]{12,13}", re.ASCII)
_YES_NO = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_FLOAT = struct.Struct("<f")
_LARGEST_FLOAT = 3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type without parts."""

    expected: str
    """What a value has to be, to complete `has to be …`."""
    from_json: Callable[[Json], AvroValue]
    from_text: Callable[[str], Json] = str
    """A cell's text as JSON; `from_json` has the last word."""
    moment: Literal["date", "timestamp"] | None = None
    binary: bool = False


def scalar(avro: AvroType) -> Scalar | None:
    """The scalar that an Avro type is, or None for records, arrays, maps and names."""
    written: dict[str, Any] = avro if isinstance(avro, dict) else {"type": avro}
    match written["type"], written.get("logicalType"):
        case ("int", "date"):
            return Scalar("a date such as 2001-04-30", _date, moment="date")
        case ("long", "timestamp-millis"):
            return _timestamp(timedelta(milliseconds=1))
        case ("long", "timestamp-micros"):
            return _timestamp(timedelta(microseconds=1))
        case ("bytes" | "fixed", "decimal"):
            return _decimal(int(written["precision"]), int(written.get("scale", 0)), written.get("size"))
        case ("enum", _):
            symbols = written["symbols"]
            return Scalar(f"one of {', '.join(symbols)}", partial(_symbol, frozenset(symbols)))
        case ("fixed", _):
            return Scalar(f"{written['size']} bytes in base64", partial(_fixed, written["size"]), binary=True)
        case (str(name), _):
            return _PRIMITIVES.get(name)
        case _:
            return None


def _timestamp(unit: timedelta) -> Scalar:
    return Scalar(
        "a time with its offset, such as 2001-04-30T09:00:00+09:00 or …Z, or milliseconds since 1970",
        partial(_instant, unit),
        partial(_instant_text, unit),
        moment="timestamp",
    )


def _decimal(precision: int, scale: int, size: int | None) -> Scalar:
    expected = f"a number of at most {precision} digits, {scale} of them after the point"
    return Scalar(expected, partial(_unscaled, precision, scale, size), _number_text, binary=True)


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half of a surrogate pair, which JSON can write, is no text
    return value


def _symbol(symbols: frozenset[str], value: Json) -> str:
    if value not in symbols:
        raise ValueError
    return _string(value)


def _boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _boolean_text(text: str) -> bool:
    try:
        return _YES_NO[text.lower()]
    except KeyError:
        raise ValueError from None


def _integer(bits: int, value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise OverflowError
    return value


def _integer_text(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError
    return int(text)


def _floating(largest: float, value: Json) -> float:
    if not isinstance(value, int | Decimal | float) or isinstance(value, bool):
        raise TypeError
    number = float(value)
    if not math.isfinite(number) or abs(number) > largest:
        raise OverflowError
    return number


def _number_text(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return Decimal(text)


def _single(value: Json) -> float:
    """Rounded as it will be written: Avro's float has 32 bits (IEEE 754 binary32)."""
    (number,) = _FLOAT.unpack(_FLOAT.pack(_floating(_LARGEST_FLOAT, value)))
    return float(number)


def _binary(value: Json) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(_string(value), validate=True)


def _fixed(size: int, value: Json) -> bytes:
    data = _binary(value)
    if len(data) != size:
        raise ValueError
    return data


def _date(value: Json) -> int:
    day = date.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(day, datetime) or not isinstance(day, date):
        return _integer(32, day)
    return day.toordinal() - _EPOCH.toordinal()


def _instant(unit: timedelta, value: Json) -> int:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        return _integer(64, moment)
    if moment.tzinfo is None:
        raise ValueError
    return (moment - _EPOCH) // unit


def _instant_text(unit: timedelta, text: str) -> Json:
    """Shorter numbers than of milliseconds are refused: they are more likely seconds or a day written together."""
    if _EPOCH_MILLIS.fullmatch(text):
        return int(text) * (timedelta(milliseconds=1) // unit)
    return text


def _unscaled(precision: int, scale: int, size: int | None, value: Json) -> bytes:
    """Avro's decimal: the digits as a two's complement number. Nothing is rounded.

    A float is the shortest number that reads back as it, which is how JSON and CSV write it.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
        raise TypeError
    number = (
        _number_text(value) if isinstance(value, str) else Decimal(repr(value) if isinstance(value, float) else value)
    )
    if number and number.adjusted() + scale >= precision:
        raise OverflowError  # before it is expanded: an exponent may be of any size
    digits = number.scaleb(scale, Context(prec=precision, traps=[Inexact, InvalidOperation])) if number else Decimal(0)
    if digits != digits.to_integral_value():
        raise ValueError
    whole = int(digits)
    return whole.to_bytes(size if size is not None else (whole.bit_length() + 8) // 8, "big", signed=True)


def _null(value: Json) -> None:
    if value is not None:
        raise TypeError


_PRIMITIVES: Final = {
    "null": Scalar("null", _null),
    "string": Scalar("text", _string),
    "boolean": Scalar("true or false", _boolean, _boolean_text),
    "int": Scalar("a whole number of 32 bits", partial(_integer, 32), _integer_text),
    "long": Scalar("a whole number of 64 bits", partial(_integer, 64), _integer_text),
    "float": Scalar("a number", _single, _number_text),
    "double": Scalar("a number", partial(_floating, math.inf), _number_text),
    "bytes": Scalar("bytes in base64", _binary, binary=True),
}

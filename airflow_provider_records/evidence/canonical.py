"""The one JSON text of a value, as RFC 8785 (JSON Canonicalization Scheme) defines it.

Whoever checks the evidence in many years can compute the same bytes with any implementation of that standard.
"""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

LARGEST_NUMBER = 2**53 - 1
"""The largest whole number that JSON readers agree about."""

# It writes whole values that hold only what it and RFC 8785 write alike, and the texts of all others.
_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """Return a value's JSON text: sorted names, no blanks, UTF-8.

    :param value: dicts with text as names, lists, text, numbers, booleans, None.
    :raises ValueError: a number is not finite, or so large that JSON does not carry it exactly; or a text is no valid
        Unicode.
    :raises TypeError: it is no JSON value.
    """
    return _ENCODER.encode(value) if _is_plain(value) else _text(value).encode()


def _is_plain(value: object) -> bool:
    """Tell whether the encoder writes a value as RFC 8785 wants it."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is dict:
        try:
            if not "".join(value).isascii():  # type: ignore[arg-type]  # the two sort other names differently
                return False
        except TypeError:
            return False
        for item in value.values():  # type: ignore[attr-defined]  # noqa: SIM110 - half the time of a generator
            if type(item) is not str and not _is_plain(item):
                return False
        return True
    if kind is list or kind is tuple:
        return all(_is_plain(item) for item in value if type(item) is not str)  # type: ignore[attr-defined]
    if kind is int:
        return -LARGEST_NUMBER <= value <= LARGEST_NUMBER  # type: ignore[operator]
    return False


def _text(value: object) -> str:
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("names must be text")
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_text(name)}:{_text(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    if isinstance(value, str):
        return _ENCODER.encode(str.__str__(value)).decode()  # msgspec does not know classes derived from it
    if value is None or isinstance(value, bool):
        return _ENCODER.encode(value).decode()
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def _number(value: float) -> str:
    """Write a number as JavaScript does.

    Larger whole numbers are refused, floating point ones too: many readers would return another number.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number must be finite")
    if (whole := int(value)) == value:
        if abs(whole) > LARGEST_NUMBER:
            raise ValueError(f"whole numbers go up to {LARGEST_NUMBER}; write a larger one as text")
        return str(whole)
    sign, digits, exponent = Decimal(float.__repr__(value)).as_tuple()  # classes derived from it show themselves
    shown = "".join(map(str, digits))
    point = len(digits) + int(exponent)  # place of the decimal point, counted from the first digit
    if point > 0:
        text = f"{shown[:point]}.{shown[point:]}"
    elif point > -6:
        text = f"0.{'0' * -point}{shown}"
    else:
        text = f"{shown[0]}{'.' * (len(shown) > 1)}{shown[1:]}e{point - 1}"
    return "-" * sign + text

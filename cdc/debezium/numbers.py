"""Numbers and bits in PostgreSQL's text form."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from decimal import Decimal
from math import isfinite, nextafter
from struct import pack, unpack
from typing import Any, Final

_SPECIAL: Final = {"NAN": "NaN", "POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity"}
_WHOLE: Final = 2.0**53
"""Above this a number of few digits may lie midway between two others."""


def numeric(value: str) -> str:
    return _SPECIAL.get(value, value)


def whole_numeric(value: str) -> str:
    """``numeric(5,-2)``: Debezium reads the negative scale as 2046 and writes as many zeros."""
    return numeric(value).partition(".")[0]


def money(value: str) -> str:
    """``1234.50`` → ``$1,234.50``, as PostgreSQL writes it under lc_monetary C."""
    sign = "-" if value.startswith("-") else ""
    units, _, cents = value.removeprefix("-").partition(".")
    return f"{sign}${int(units):,}.{cents:0<2}"


def float8(value: Any) -> str:
    """``value`` is a number, or the string NaN, Infinity or -Infinity."""
    value = float(value)
    if value - value != 0:
        return _not_finite(value)
    return _layout(_shortest(value) if abs(value) > _WHOLE else repr(value), 15)


def float4(value: Any) -> str:
    """As ``float8``. Java 17 does not always write the shortest digits that give the number back; PostgreSQL does."""
    value = float(value)
    if value - value != 0:
        return _not_finite(value)
    (single,) = unpack("f", pack("f", value))
    for digits in range(1, 10):
        text = f"{single:.{digits}g}"
        if unpack("f", pack("f", float(text))) == (single,):
            return _layout(text, 6)
    raise AssertionError("nine digits give every single-precision number back")


def bits(length: int) -> Callable[[str], str]:
    """Base64 of little-endian bytes → ``bit(length)``."""
    return lambda value: format(int.from_bytes(b64decode(value), "little"), f"0{length}b")


def varying_bits(value: str) -> str:
    """Leading zeros are not in what Debezium sends."""
    number = int.from_bytes(b64decode(value), "little")
    return format(number, "b") if number else ""


def _shortest(value: float) -> str:
    """The shortest digits that are nearer to ``value`` than to any other: PostgreSQL takes none that lie midway, though
    they would be read back as ``value``."""
    exact = Decimal(value)
    reach = min(abs(Decimal(nextafter(value, away)) - exact) for away in (0.0, value * 2) if isfinite(away))
    for digits in range(1, 18):
        text = f"{value:.{digits - 1}e}"
        if abs(Decimal(text) - exact) * 2 < reach or digits == 17:
            return text
    raise AssertionError("seventeen digits give every double-precision number back")


def _not_finite(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _layout(shortest: str, widest: int) -> str:
    """The digits of ``shortest`` as ``float8out`` lays them out: plain from 10^-4 to below 10^``widest``."""
    mantissa, _, exponent = shortest.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    # The power of ten of the first digit.
    power = int(exponent or 0) + len(whole) - 1
    leading = len(whole + fraction) - len(digits)
    power -= leading
    digits = digits.rstrip("0")
    if power < -4 or power >= widest:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    if len(digits) <= power + 1:
        return sign + digits.ljust(power + 1, "0")
    return f"{sign}{digits[: power + 1]}.{digits[power + 1 :]}"

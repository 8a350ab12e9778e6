"""Dates, times and intervals in PostgreSQL's text form (DateStyle ISO, IntervalStyle postgres, time zone UTC)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1)
_DAY: Final = 86_400_000_000
# 1970-01-01 plus or minus what ``datetime`` can hold, in microseconds.
_FIRST: Final = -62_135_596_800_000_000
_LAST: Final = 253_402_300_799_999_999
# What Debezium makes of infinity: the ends of 64 bits for microseconds, the JDBC driver's own for milliseconds, and for
# days what is left of that in 32 bits.
_INFINITE: Final = {(1 << 63) - 1: "infinity", -(1 << 63): "-infinity"}
_INFINITE_MILLISECONDS: Final = {9_223_372_036_825_200_000: "infinity", -9_223_372_036_832_400_000: "-infinity"}
_INFINITE_DAYS: Final = {2_146_033_979: "infinity", -2_147_472_691: "-infinity"}
_INTERVAL: Final = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?[\d.]+)S)?)?"
)


class MalformedInterval(ValueError):
    """The text is no ISO 8601 duration."""


def date(days: int) -> str:
    """Days since 1970."""
    special = _INFINITE_DAYS.get(days)
    if special is not None:
        return special
    year, month, day = _civil(days)
    return _with_era(year, f"{month:02d}-{day:02d}", "")


def timestamp(microseconds: int) -> str:
    """Microseconds since 1970."""
    if _FIRST <= microseconds <= _LAST:
        return _trimmed((_EPOCH + timedelta(microseconds=microseconds)).isoformat(" "))
    special = _INFINITE.get(microseconds)
    if special is not None:
        return special
    days, rest = divmod(microseconds, _DAY)
    year, month, day = _civil(days)
    return _with_era(year, f"{month:02d}-{day:02d}", f" {time(rest)}")


def timestamp_of_milliseconds(milliseconds: int) -> str:
    special = _INFINITE_MILLISECONDS.get(milliseconds)
    return special or timestamp(milliseconds * 1000)


def time(microseconds: int) -> str:
    """Microseconds since midnight."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def time_of_milliseconds(milliseconds: int) -> str:
    return time(milliseconds * 1000)


def zoned_timestamp(value: str) -> str:
    """``2024-01-31T11:51:30.120000Z`` → ``2024-01-31 11:51:30.12+00``; infinities as they are."""
    if value.endswith("infinity"):
        return value
    day, _, clock = value.removesuffix("Z").partition("T")
    clock = _trimmed(clock)
    year, _, rest = day.lstrip("+-").partition("-")
    if value.startswith("-") or int(year) == 0:
        number = int(year)
        return _with_era(-number, rest, f" {clock}+00")
    return f"{year}-{rest} {clock}+00"


def zoned_time(value: str) -> str:
    """``11:51:30.120Z`` → ``11:51:30.12+00``: Debezium has moved it to UTC."""
    return f"{_trimmed(value.removesuffix('Z'))}+00"


def interval(value: Any) -> str:
    """``P1Y2M3DT4H5M6.780S`` → ``1 year 2 mons 3 days 04:05:06.78``."""
    found = _INTERVAL.fullmatch(value)
    if found is None:
        raise MalformedInterval(value)
    years, months, days, hours, minutes = (int(part or 0) for part in found.groups()[:5])
    seconds = found[6] or "0"
    parts: list[str] = []
    negative = False
    for number, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if number:
            plus = "+" if negative and number > 0 else ""
            parts.append(f"{plus}{number} {unit}{'' if number == 1 else 's'}")
            negative = number < 0
    whole, _, fraction = seconds.lstrip("-").partition(".")
    fraction = fraction.rstrip("0")
    if hours or minutes or int(whole) or fraction or not parts:
        minus = hours < 0 or minutes < 0 or seconds.startswith("-")
        sign = "-" if minus else "+" if negative else ""
        clock = f"{sign}{abs(hours):02d}:{abs(minutes):02d}:{int(whole):02d}"
        parts.append(f"{clock}.{fraction}" if fraction else clock)
    return " ".join(parts)


def _trimmed(text: str) -> str:
    return text.rstrip("0").removesuffix(".") if "." in text else text


def _with_era(year: int, day: str, rest: str) -> str:
    """``year`` is astronomical: 0 is 1 BC."""
    if year > 0:
        return f"{year:04d}-{day}{rest}"
    return f"{1 - year:04d}-{day}{rest} BC"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970, proleptic Gregorian, for any year.

    Years begin in March here, so that the leap day is a year's last; 146,097 days are 400 years.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = era * 400 + year_of_era + (1 if month <= 2 else 0)
    return year, month, day_of_year - (153 * shifted + 2) // 5 + 1

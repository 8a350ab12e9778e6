"""What people type, read as they mean it: amounts and days in the forms that are in use."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

_SPACES = str.maketrans("", "", " \u00a0\u202f'’_")
_SIGNS = str.maketrans({"−": "-", "–": "-"})
_CURRENCY = re.compile(r"^(?:[A-Z]{3}|[$€£¥])\s*|\s*(?:[A-Z]{3}|[$€£¥])$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def amount(text: str) -> Decimal:
    """``1,234.5``, ``1.234,5``, ``1 234,50``, ``$ 12``, ``-3``. Raises ValueError that says what to type.

    Of two different separators the last is the decimal one; one that occurs twice groups; a single one before exactly
    three digits groups if it is a comma and is decimal if it is a point.
    """
    plain = _CURRENCY.sub("", text.strip().translate(_SIGNS)).translate(_SPACES)
    if not re.fullmatch(r"-?[0-9.,]*[0-9][0-9.,]*", plain):
        raise ValueError("Enter a number, such as 1,234.50.")
    points, commas = plain.count("."), plain.count(",")
    if points and commas:
        decimal = "." if plain.rindex(".") > plain.rindex(",") else ","
    elif points > 1 or commas > 1 or (commas and re.fullmatch(r"-?[1-9][0-9]{0,2},[0-9]{3}", plain)):
        decimal = ""
    else:
        decimal = "." if points else ","
    for separator in {".", ","} - {decimal}:
        plain = plain.replace(separator, "")
    if decimal and plain.count(decimal) > 1:
        raise ValueError("Enter a number with one decimal separator, such as 1,234.50.")
    try:
        return Decimal(plain.replace(",", "."))
    except InvalidOperation:
        raise ValueError("Enter a number, such as 1,234.50.") from None


def whole(text: str) -> int:
    """A whole number. Raises ValueError."""
    found = amount(text)
    if found != found.to_integral_value():
        raise ValueError("Enter a whole number, such as 12.")
    return int(found)


def day(text: str, today: date) -> date:
    """``2026-04-03``, ``3/4``, ``3.4.26``, ``3 Apr``, ``Apr 3 2026``, ``today``: day before month. Raises ValueError.

    Without a year it is the one that puts the day nearest to ``today``.
    """
    plain = re.sub(r"(?<=[0-9])(?:st|nd|rd|th)\b", "", text.strip().lower())
    if plain == "today":
        return today
    iso = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", plain)
    if iso:
        return _date(int(iso[1]), int(iso[2]), int(iso[3]))
    parts = [part for part in re.split(r"[\s/.,-]+", plain) if part]
    if len(parts) not in (2, 3):
        raise ValueError("Enter a date, such as 3 Apr 2026 or 2026-04-03.")
    if parts[0][:3] in _MONTHS:
        parts[0], parts[1] = parts[1], parts[0]
    month = _MONTHS.index(parts[1][:3]) + 1 if parts[1][:3] in _MONTHS else _number(parts[1])
    number = _number(parts[0])
    if len(parts) == 3:
        year = _number(parts[2])
        return _date(year + 2000 if year < 100 else year, month, number)
    around = []
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            around.append(_date(year, month, number))
        except ValueError:
            continue
    if not around:
        raise ValueError(f"There is no day {text.strip()}.")
    return min(around, key=lambda found: abs(found - today))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValueError("Enter a date, such as 3 Apr 2026 or 2026-04-03.")
    return int(text)


def _date(year: int, month: int, number: int) -> date:
    try:
        return date(year, month, number)
    except ValueError:
        raise ValueError(f"There is no day {number} in month {month} of {year}.") from None

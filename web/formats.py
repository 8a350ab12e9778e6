"""How values look: amounts, days, moments. Unknown is a dash, zero is 0, a minus is a minus."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

UNKNOWN = "–"
MINUS = "−"
_WHOLE_UNITS = frozenset({"JPY", "KRW", "VND", "CLP", "ISK"})
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (7 * 86400, 86400, "d"))


def money(value: Any, currency: str = "") -> str:
    """``1,234.50`` (two places; none for currencies without cents); the currency stands in the column's header."""
    number = _decimal(value)
    if number is None:
        return UNKNOWN
    places = 0 if currency in _WHOLE_UNITS else 2
    if number == 0:
        return "0"
    return _signed(f"{round(number, places):,.{places}f}")


def number(value: Any) -> str:
    """Every digit that is there, grouped, without trailing zeros."""
    found = _decimal(value)
    if found is None:
        return UNKNOWN
    text = f"{found.normalize():,f}" if found else "0"
    return _signed(text)


def share(value: Any, places: int = 0) -> str:
    """0.15 as ``15 %``."""
    found = _decimal(value)
    return UNKNOWN if found is None else _signed(f"{found * 100:,.{places}f}") + "\u202f%"


def day(value: Any) -> str:
    """``3 Apr 2026``."""
    found = _date(value)
    return UNKNOWN if found is None else f"{found.day} {_MONTHS[found.month - 1]} {found.year}"


def moment(value: Any) -> str:
    """``3 Apr 2026, 14:05:09 UTC``."""
    found = when(value)
    if found is None:
        return UNKNOWN
    return f"{day(found)}, {found:%H:%M:%S} UTC"


def ago(value: Any, now: datetime | None = None) -> str:
    """``2 s ago``, ``5 min ago``, ``3 h ago``, ``4 d ago``; after a week the day."""
    found = when(value)
    if found is None:
        return UNKNOWN
    seconds = int(((now or datetime.now(UTC)) - found).total_seconds())
    if -5 <= seconds < 1:
        return "just now"
    for below, unit, name in _STEPS:
        if 0 <= seconds < below:
            return f"{seconds // unit} {name} ago"
    return day(found)


def when(value: Any) -> datetime | None:
    """A moment in UTC from a datetime or ISO text; None where there is none."""
    if value in (None, ""):
        return None
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _date(value: Any) -> date | None:
    if value in (None, ""):
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


def _decimal(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _signed(text: str) -> str:
    """A real minus sign; nothing rounds to a negative zero."""
    if not text.startswith("-"):
        return text
    return text[1:] if not text.strip("-0.,") else MINUS + text[1:]

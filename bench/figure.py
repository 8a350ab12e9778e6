"""One measured figure beside what was promised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` in ``unit``; ``promise`` such as ``≤ 300 ms`` (empty: none was made); ``met`` None where none was made.

    ``how`` says what was counted and, where a promise is missed, what the profile shows and what was tried.
    """

    name: str
    value: float | int | str
    unit: str = ""
    promise: str = ""
    met: bool | None = None
    how: str = ""

    @staticmethod
    def at_most(name: str, value: float, limit: float, unit: str, how: str = "") -> Figure:
        return Figure(name, value, unit, f"≤ {number(limit)} {unit}".rstrip(), value <= limit, how)

    @staticmethod
    def at_least(name: str, value: float, limit: float, unit: str, how: str = "") -> Figure:
        return Figure(name, value, unit, f"≥ {number(limit)} {unit}".rstrip(), value >= limit, how)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def number(value: float | int | str) -> str:
    """Three significant digits, thousands separated; text as it is."""
    if isinstance(value, str):
        return value
    if abs(value) >= 1000 or (isinstance(value, int) and abs(value) >= 100):
        return f"{value:,.0f}"
    return f"{value:.3g}"

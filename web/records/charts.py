"""Bar charts as inline SVG: from zero, labelled directly, each bar a point to focus. Geometry only; CSS draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

WIDTH, HEIGHT = 720, 220
TOP, BOTTOM = 22, 24
"""Room for the label above a bar and the name below it."""
WIDEST = 72


@dataclass(frozen=True)
class Bar:
    """``y`` and ``height`` of a bar below zero hang from the base line; ``middle`` is where its labels stand; the whole
    column from ``left`` is there to be pointed at. ``url`` leads to what the bar adds up."""

    name: str
    value: Decimal
    short: str
    count: int
    x: float
    y: float
    width: float
    height: float
    middle: float
    label_y: float
    left: float
    column: float
    url: str


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    base: float
    width: int = WIDTH
    height: int = HEIGHT
    names_y: int = HEIGHT - 6


def bars(points: Sequence[tuple[str, Any, int, str]]) -> Chart | None:
    """Bars of (name, amount, count, address of the rows); None where there is nothing to draw."""
    if not points:
        return None
    values = [Decimal(str(value)) for _, value, _, _ in points]
    highest, lowest = max(Decimal(0), *values), min(Decimal(0), *values)
    spread = (highest - lowest) or Decimal(1)
    room = HEIGHT - TOP - BOTTOM - (14 if lowest else 0)
    base = TOP + float(highest / spread) * room
    step = WIDTH / len(points)
    width = min(WIDEST, step * 0.72)
    found = []
    for number, ((name, _, count, url), value) in enumerate(zip(points, values, strict=True)):
        height = float(abs(value) / spread) * room
        middle = step * (number + 0.5)
        y = base - height if value >= 0 else base
        label_y = y - 6 if value >= 0 else y + height + 14
        found.append(
            Bar(
                name,
                value,
                short(value),
                count,
                round(middle - width / 2, 1),
                round(y, 1),
                round(width, 1),
                round(height, 1),
                round(middle, 1),
                round(label_y, 1),
                round(step * number, 1),
                round(step, 1),
                url,
            )
        )
    return Chart(found, round(base, 1))


def short(value: Decimal) -> str:
    """``1.2k``, ``34k``, ``5.6M``: three figures at most."""
    size = abs(value)
    for unit, factor in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if size >= factor * Decimal("0.9995"):
            scaled = size / factor
            text = f"{scaled:.1f}" if scaled < Decimal("9.95") else f"{scaled:.0f}"
            return ("−" if value < 0 else "") + text.removesuffix(".0") + unit
    return ("−" if value < 0 else "") + f"{size:.0f}"

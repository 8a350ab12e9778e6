"""Geometric values: Debezium's structures of numbers and well-known binary, as PostgreSQL writes them."""

from __future__ import annotations

from base64 import b64decode
from struct import unpack_from
from typing import Any, Final

from cdc.debezium.numbers import float8

_POINTS: Final = {2: 5, 3: 9}
"""Where the number of points stands: of a line string after its type, of a polygon after its one ring's number."""


def text(kind: str, value: dict[str, Any]) -> str:
    """``kind`` is the type's name: point, box, polygon, circle, path, line or lseg."""
    if kind == "point":
        return _pair(value["x"], value["y"])
    if kind == "circle":
        return f"<{text('point', value['center'])},{float8(value['radius'])}>"
    if kind == "line":
        return f"{{{float8(value['a'])},{float8(value['b'])},{float8(value['c'])}}}"
    points = _points(value["wkb"])
    if kind == "box":
        # Its ring begins at the upper right corner, and has the lower left one opposite.
        return f"{points[0]},{points[2]}"
    if kind == "lseg":
        return f"[{points[0]},{points[1]}]"
    if kind == "polygon":
        return f"({','.join(points[:-1])})"
    closed = value["extensions"]["closed"] == "true"
    return f"({','.join(points)})" if closed else f"[{','.join(points)}]"


def _points(encoded: str) -> list[str]:
    wkb = b64decode(encoded)
    (shape,) = unpack_from("<I", wkb, 1)
    at = _POINTS[shape]
    (count,) = unpack_from("<I", wkb, at)
    numbers = unpack_from(f"<{2 * count}d", wkb, at + 4)
    return [_pair(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def _pair(x: float, y: float) -> str:
    return f"({float8(x)},{float8(y)})"

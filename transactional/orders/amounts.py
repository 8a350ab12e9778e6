"""What a line and an order come to. A line's net is exact; only the subtotal of an order is rounded."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

SCALE = Decimal("0.0001")
"""Money is kept to four decimals."""
TOLERANCE = SCALE / 2
"""How far a subtotal may lie from the sum of its lines: whichever way a source rounds, it lies no further."""
_PRECISION = 60
"""Digits that hold a sum of 100,000 products of 19 × 19 × 7 digits exactly; Python's default of 28 would round."""


def line_net(quantity: Decimal, unit_price: Decimal, discount: Decimal) -> Decimal:
    """``quantity × unit_price × (1 − discount)``, exact."""
    with localcontext(prec=_PRECISION):
        return quantity * unit_price * (1 - discount)


def lines_total(lines: Iterable[tuple[Decimal, Decimal, Decimal]]) -> Decimal:
    """The exact sum of the nets of ``(quantity, unit_price, discount)``."""
    with localcontext(prec=_PRECISION):
        return sum((quantity * price * (1 - discount) for quantity, price, discount in lines), Decimal(0))


def sub_total(lines: Iterable[tuple[Decimal, Decimal, Decimal]]) -> Decimal:
    """``lines_total``, rounded half-even to four decimals."""
    with localcontext(prec=_PRECISION):
        return lines_total(lines).quantize(SCALE, ROUND_HALF_EVEN)

"""Units in which files give numbers, and the factor to what the services keep (one of the currency, share of one)."""

from __future__ import annotations

import re
from decimal import Decimal

_FACTORS: dict[str, int | Decimal] = {
    "hundred": 100,
    "thousand": 1_000,
    "k": 1_000,
    "million": 1_000_000,
    "mio": 1_000_000,
    "m": 1_000_000,
    "billion": 1_000_000_000,
    "bn": 1_000_000_000,
    "crore": 10_000_000,
    "lakh": 100_000,
    "percent": Decimal("0.01"),
    "%": Decimal("0.01"),
    "permille": Decimal("0.001"),
    "basis points": Decimal("0.0001"),
    "cent": Decimal("0.01"),
    "cents": Decimal("0.01"),
    "pair": 2,
    "dozen": 12,
    "gross": 144,
    "one": 1,
}
SHARES = frozenset({"percent", "%", "permille", "basis points"})
"""Units of a share; a number that is no share (a price, a quantity) is not given in them."""


def parse(unit: str) -> tuple[Decimal, str | None]:
    """``million USD`` → (1000000, "USD"); ``percent`` → (0.01, None); ``EUR`` → (1, "EUR").

    Raises ValueError with the known units.
    """
    words = unit.split()
    currency = words.pop() if words and re.fullmatch("[A-Z]{3}", words[-1]) else None
    name = " ".join(words).casefold() or "one"
    if name not in _FACTORS:
        known = ", ".join(sorted(_FACTORS))
        raise ValueError(f"unknown unit {unit!r}: say one of {known}, with a currency behind it where it is money")
    return Decimal(_FACTORS[name]), currency

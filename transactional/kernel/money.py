"""Money: a decimal amount that knows its currency, so that two currencies are never added by mistake."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Self

from django.db.models import Q

MAX_AMOUNT = Decimal("999999999999999.9999")
"""The largest amount that numeric(19,4) holds."""


def not_negative(field: str, *, nullable: bool = False) -> Q:
    """The condition of a CHECK constraint. PostgreSQL sorts NaN above every number: the upper bound keeps it out."""
    condition = Q(**{f"{field}__gte": 0, f"{field}__lte": MAX_AMOUNT})
    return condition | Q(**{f"{field}__isnull": True}) if nullable else condition


class CurrencyMismatch(Exception):
    """Two amounts of different currencies met in a sum or comparison."""


@dataclass(frozen=True, slots=True)
class Money:
    """``amount`` is exact; ``currency`` is an ISO 4217 code."""

    amount: Decimal
    currency: str

    def __add__(self, other: Self) -> Self:
        return type(self)(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.amount - self._same(other), self.currency)

    def __mul__(self, factor: Decimal | int) -> Self:
        return type(self)(self.amount * factor, self.currency)

    def __neg__(self) -> Self:
        return type(self)(-self.amount, self.currency)

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._same(other)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def rounded(self, places: int = 4) -> Self:
        """Half-even to ``places`` decimals (4 is what the database keeps)."""
        return type(self)(self.amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN), self.currency)

    def _same(self, other: Self) -> Decimal:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self} and {other} are of different currencies; convert one first.")
        return other.amount

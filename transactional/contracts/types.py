"""Field types of commands and events, with the limits that the database's columns have."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=40)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217, upper case."""
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2, upper case."""

Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]
"""What an ``integer`` column holds."""

Amount = Annotated[Decimal, Field(max_digits=19, decimal_places=4, allow_inf_nan=False)]
"""Money of either sign: numeric(19,4). JSON callers send a string to keep every digit."""
NonNegativeAmount = Annotated[Decimal, Field(ge=0, max_digits=19, decimal_places=4, allow_inf_nan=False)]
Quantity = Annotated[Decimal, Field(gt=0, max_digits=19, decimal_places=4, allow_inf_nan=False)]
Rate = Annotated[Decimal, Field(ge=0, le=1, max_digits=9, decimal_places=6, allow_inf_nan=False)]
"""A share of one, such as a discount: 0.15 is 15 %."""


def _bounded(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(value) > 100:
        raise ValueError("at most 100 custom fields")
    return value


Custom = Annotated[dict[str, JsonValue], AfterValidator(_bounded)]
"""Fields of the customer's own, by name."""


class Address(BaseModel):
    """A postal address; a part that is absent is null."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    line1: Text | None = None
    line2: Text | None = None
    city: Text | None = None
    region: Text | None = None
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)] | None = None
    country: CountryCode | None = None

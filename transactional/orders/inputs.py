"""Field types of Orders' commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

Channel = Literal["online", "reseller", "direct"]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
"""Numbers of other people's: purchase orders, parcels."""

LineNumber = Annotated[int, Field(gt=0, lt=2**31)]

MAX_LINES = 1000
"""Lines of one order."""

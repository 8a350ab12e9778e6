"""Field types of Orders' commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

Channel = Literal["online", "reseller", "direct"]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
"""Numbers of other people's: purchase orders, parcels."""

MAX_LINES = 1000
"""Lines of one order."""

"""Books of the sample service, as tests make them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

BOOKS = "/api/shelf/books"
NewBook = Callable[..., dict[str, Any]]
_numbers = itertools.count(1)


def new_isbn() -> str:
    """One that no other book of this run has."""
    return f"978-{next(_numbers)}"

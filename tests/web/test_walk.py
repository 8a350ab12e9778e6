"""The walk, over the embedded stream."""

from __future__ import annotations

from collections.abc import Callable

from tests.web.records.company import Company
from tests.web.records.visitor import Visitor
from tests.web.walk import walk


def test_from_the_search_box_to_the_history(somebody: Callable[..., Visitor], company: Company) -> None:
    walk(somebody, company)

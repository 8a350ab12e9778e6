"""The chip says which state of the sources a panel shows."""

from __future__ import annotations

from typing import Any

from web.freshness import freshness
from web.positions import Positions

NINE = {"lsn": "0/1000", "as_of": "2026-04-03T09:00:00+00:00", "whole": True}
TEN = {"lsn": "0/2000", "as_of": "2026-04-03T10:00:00+00:00", "whole": True}


def shows(**marks: dict[str, Any]) -> str:
    return freshness(marks, Positions()).shows


def test_the_oldest_source_says_until_when_everything_is_there() -> None:
    assert shows(headwater=TEN, finance=NINE) == "Everything committed until 3 Apr 2026, 09:00:00 UTC is shown."


def test_where_partitions_run_ahead_it_says_so() -> None:
    assert shows(headwater=TEN, finance=NINE | {"whole": False}) == (
        "Everything committed until 3 Apr 2026, 09:00:00 UTC is shown."
        " Of later transactions, some rows may be shown before the others."
    )


def test_before_anything_has_landed_it_says_nothing() -> None:
    assert shows(headwater=TEN | {"as_of": None}) == ""

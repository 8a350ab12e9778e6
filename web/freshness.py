"""How old what a panel shows is, and whether it holds the reader's own last write already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from web.formats import moment
from web.positions import Positions

OLD_SECONDS = 60
"""From here on the age is shown in amber."""


@dataclass(frozen=True)
class Freshness:
    """``as_of``: everything committed until then is shown (the oldest source's); None where nothing landed yet.
    ``whole``: and of what was committed since, whole transactions alone."""

    as_of: datetime | None
    updating: bool
    whole: bool = True

    @property
    def seconds(self) -> int | None:
        return None if self.as_of is None else max(0, int((datetime.now(UTC) - self.as_of).total_seconds()))

    @property
    def old(self) -> bool:
        seconds = self.seconds
        return seconds is None or seconds > OLD_SECONDS

    @property
    def shows(self) -> str:
        """Which state of the sources it is, in words."""
        if self.as_of is None:
            return ""
        rest = "" if self.whole else " Of later transactions, some rows may be shown before the others."
        return f"Everything committed until {moment(self.as_of)} is shown.{rest}"


def freshness(watermark: Mapping[str, Mapping[str, Any]] | None, written: Positions) -> Freshness:
    """From a read API's watermark: source → ``{"lsn", "as_of" (ISO time or datetime), "whole"}``, and what the reader
    wrote."""
    marks = watermark or {}
    times = [_time(mark.get("as_of")) for mark in marks.values()]
    known = [time for time in times if time is not None]
    behind = not written.passed_by({source: str(mark["lsn"]) for source, mark in marks.items()})
    whole = all(mark.get("whole", True) for mark in marks.values())
    return Freshness(min(known) if known and len(known) == len(times) else None, behind, whole)


def _time(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))

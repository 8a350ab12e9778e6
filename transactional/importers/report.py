"""What became of an import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from transactional.importers.company import Rejection

Progress = Callable[[str, int, int], None]
"""Called with what is being written, how many rows of it are done, and how many there are."""


@dataclass
class Count:
    """``created`` now, ``unchanged`` from an earlier run, ``rejected`` for a reason; ``seconds`` spent writing."""

    created: int = 0
    unchanged: int = 0
    rejected: int = 0
    seconds: float = 0.0


@dataclass
class Report:
    """Counts by kind of row, in the order of writing, and every rejected row with its reason."""

    source: str
    counts: dict[str, Count] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def created(self) -> int:
        return sum(count.created for count in self.counts.values())

    @property
    def unchanged(self) -> int:
        return sum(count.unchanged for count in self.counts.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self, *, reasons: int = 20) -> list[str]:
        """For people: a line per kind of row, then the first rejected rows with file, row and reason."""
        told = [f"{'':<12} {'created':>9} {'unchanged':>9} {'rejected':>9} {'seconds':>8}"]
        told += [
            f"{kind:<12} {c.created:>9,} {c.unchanged:>9,} {c.rejected:>9,} {c.seconds:>8.1f}"
            for kind, c in self.counts.items()
        ]
        told.append(f"{'':<12} {self.created:>9,} {self.unchanged:>9,} {len(self.rejections):>9,} {self.seconds:>8.1f}")
        told += [f"{r.file} row {r.row}: {r.reason}" for r in self.rejections[:reasons]]
        if len(self.rejections) > reasons:
            told.append(f"… and {len(self.rejections) - reasons:,} more rejected rows.")
        return told

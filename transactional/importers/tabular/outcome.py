"""What became of a file: counts, the first refused rows for people, all of them in a file that can be mended."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from transactional.importers.tabular.errors import Problem
from transactional.importers.tabular.records import REJECTED, Record

PROBLEM = "headwater_problem"
"""With REJECTED the columns in front of a refused row's own; the next import passes over them as over all unmapped."""
SHOWN = 20
KEPT = 1_000
"""Problems kept for the report; the file of refused rows has them all."""


@dataclass
class Outcome:
    """``rows`` are rows of the file, the other counts are records (a record may have several rows)."""

    file: str
    target: str
    rehearsal: bool
    rows: int = 0
    left_out: int = 0
    repeated: int = 0
    created: int = 0
    unchanged: int = 0
    rejected: int = 0
    seconds: float = 0.0
    encoding: str | None = None
    separator: str | None = None
    rejected_rows: str | None = None
    by_column: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        read = f"{self.rows:,} rows of {self.file}"
        if self.encoding:
            shown = {"\t": "tab"}.get(self.separator or "", self.separator)
            read += f" (read as {self.encoding}, separated by {shown})"
        told = [f"{read} into {self.target}, {self.seconds:.1f} s."]
        would = "would be created" if self.rehearsal else "created"
        told.append(
            f"  {self.created:,} {would}, {self.unchanged:,} unchanged, {self.rejected:,} rejected, "
            f"{self.left_out:,} rows left out by `only`, {self.repeated:,} repeats skipped."
        )
        if self.by_column:
            worst = sorted(self.by_column.items(), key=lambda item: -item[1])
            told.append("  Rejected for: " + ", ".join(f"{name or 'the row'} {count:,}" for name, count in worst))
        told += [f"  {problem.sentence()}" for problem in self.problems[:SHOWN]]
        if sum(self.by_column.values()) > SHOWN:
            told.append(f"  … and {sum(self.by_column.values()) - SHOWN:,} more.")
        if self.rejected_rows:
            told.append(f"  Mend the rejected rows in {self.rejected_rows} and import that file with the same mapping.")
        if self.rehearsal:
            told.append("  This was a rehearsal: nothing was written.")
        return told


class Rejects:
    """Writes refused rows, as they stood, behind their line and the reason; no file is made while there are none."""

    def __init__(self, path: Path | None, columns: list[str], *, encoding: str, separator: str, quote: str) -> None:
        self.path = path
        self.written = 0
        self._columns = columns
        self._encoding = encoding
        self._separator, self._quote = separator, quote
        self._counts: Counter[str] = Counter()
        self._file: IO[str] | None = None
        self._writer: Any = None

    def add(self, outcome: Outcome, rows: list[Record], problems: list[Problem]) -> None:
        """One record's rows; several problems of one row stand in one cell."""
        outcome.rejected += 1
        for problem in problems:
            outcome.by_column[problem.column] = outcome.by_column.get(problem.column, 0) + 1
        outcome.problems += problems[: max(0, KEPT - len(outcome.problems))]
        if self.path is None:
            return
        said: dict[int, list[str]] = {}
        for problem in problems:
            said.setdefault(problem.line, []).append(problem.sentence().removeprefix(f"line {problem.line}: "))
        for row in rows:
            told = "; ".join(said.get(row.line, [f"it goes with line {problems[0].line}"]))
            self._open().writerow([row.line, told, *row.raw])
            self.written += 1

    def _open(self) -> Any:
        if self._file is None:
            assert self.path is not None
            self._file = self.path.open("w", encoding=self._encoding, errors="replace", newline="")
            self._writer = csv.writer(self._file, delimiter=self._separator, quotechar=self._quote)
            self._writer.writerow([REJECTED, PROBLEM, *self._columns])
        return self._writer

    def flush(self) -> None:
        """What is refused is on disk before the next rows are written: a kill loses no reason."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

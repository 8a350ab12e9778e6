"""Rows into bulk commands: chunks, verdicts, and the ids by which later rows name earlier ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from transactional.importers.company import Rejection
from transactional.importers.report import Count, Progress, Report
from transactional.importers.sending import field_of, reason, submit
from transactional.importers.sheets import flag
from transactional.kernel.context import Context

Payload = Callable[[pl.DataFrame], pl.DataFrame]
"""From rows with resolved ids (``<x>_ref`` became ``<x>_id``) to the fields of the command."""

SCOPE = ("owner_id", "team_id", "territory_id")
"""Said also where they are null: what is left out would be the importing user's own."""


@dataclass
class Ids:
    """Reference → id of every row that stands."""

    known: dict[str, str] = field(default_factory=dict)
    _columns: tuple[pl.Series, pl.Series] = (pl.Series(dtype=pl.String), pl.Series(dtype=pl.String))

    def columns(self) -> tuple[pl.Series, pl.Series]:
        """References and ids, side by side."""
        if len(self._columns[0]) != len(self.known):
            self._columns = (
                pl.Series(self.known.keys(), dtype=pl.String),
                pl.Series(self.known.values(), dtype=pl.String),
            )
        return self._columns

    def of(self, reference: pl.Expr) -> pl.Expr:
        """The id of a reference; null for null and for what was not written."""
        return reference.replace_strict(*self.columns(), default=None, return_dtype=pl.String)

    def first_lost(self, references: pl.Expr) -> pl.Expr:
        """Of a list of references the first that was not written; null if all were."""
        # Element by element, which polars does for all lists at once; a filter it would run for each list alone.
        lost = pl.when(self.of(pl.element()).is_null()).then(pl.element())
        return references.list.eval(lost).list.drop_nulls().list.first()


class Writer:
    """Writes one company's rows and remembers their ids.

    Every row carries its reference as external key, so a row that an earlier run wrote is found and left alone: a run
    that was killed is completed by another one.
    """

    def __init__(self, source: str, ctx: Context, report: Report, progress: Progress) -> None:
        self.source = source
        self.ctx = ctx
        self.report = report
        self.progress = progress
        self.ids = Ids()

    def write(
        self,
        kind: str,
        command: str,
        frame: pl.DataFrame,
        payload: Payload,
        *,
        chunk: int,
        patience: float = 0.0,
        spare: str | None = None,
    ) -> set[str]:
        """Writes all rows of ``frame`` through the bulk command, rows that others name as ``parent_ref`` first.

        Returns the references of the rows that were created as they stand: a row that is refused for nothing but its
        field ``spare`` is written without it, and is none of them.

        With ``patience``, rows refused because they name something unknown are tried again until that many seconds
        have passed in which not one of them was accepted; then ReplicasStuck.
        """
        count = self.report.counts.setdefault(kind, Count())
        began = time.monotonic()
        total, done = frame.height, 0
        whole: set[str] = set()
        self.progress(kind, done, total)
        for level in _levels(frame):
            usable = self._resolved(level, count)
            done += level.height - usable.height
            for part in usable.iter_slices(chunk):
                whole |= self._write_part(command, part, payload, count, patience, spare)
                done += part.height
                self.progress(kind, done, total)
        count.seconds += time.monotonic() - began
        return whole

    def _resolved(self, frame: pl.DataFrame, count: Count) -> pl.DataFrame:
        """The rows with an id for every reference; a row that names one that was not written is rejected."""
        frame = frame.with_columns(problem=pl.lit(None, pl.String))
        for column in [name for name in frame.columns if name.endswith("_ref")]:
            found = f"{column.removesuffix('_ref')}_id"
            frame = frame.with_columns(self.ids.of(pl.col(column)).alias(found))
            frame = _flag_lost(frame, pl.when(pl.col(found).is_null()).then(column))
        for references in _lists_of_references(frame):
            frame = _flag_lost(frame, self.ids.first_lost(references))
        bad = frame.filter(pl.col("problem").is_not_null())
        count.rejected += bad.height
        self.report.rejections += [Rejection(*row) for row in bad.select("file", "row", "problem").iter_rows()]
        return frame.filter(pl.col("problem").is_null())

    def _write_part(
        self,
        command: str,
        part: pl.DataFrame,
        payload: Payload,
        count: Count,
        patience: float,
        spare: str | None,
    ) -> set[str]:
        refs = part["ref"].to_list()
        rows = [
            {
                "key": {"source": self.source, "key": ref},
                "data": {name: value for name, value in data.items() if value is not None or name in SCOPE},
            }
            for ref, data in zip(refs, payload(part).to_dicts(), strict=True)
        ]
        verdicts = submit(command, rows, self.ctx, patience=patience)
        bare = [place for place, verdict in enumerate(verdicts) if spare and _only_for(verdict, spare)]
        if bare:
            less = [rows[place] | {"data": {**rows[place]["data"], spare: None}} for place in bare]
            for place, verdict in zip(bare, submit(command, less, self.ctx, patience=patience), strict=True):
                verdicts[place] = verdict
        self.ids.known |= {
            ref: verdict["id"] for ref, verdict in zip(refs, verdicts, strict=True) if verdict["id"] is not None
        }
        count.created += sum(verdict["status"] == "created" for verdict in verdicts)
        count.unchanged += sum(verdict["status"] == "exists" for verdict in verdicts)
        self._reject(part, verdicts, count)
        return {
            ref
            for place, (ref, verdict) in enumerate(zip(refs, verdicts, strict=True))
            if verdict["status"] == "created" and place not in bare
        }

    def _reject(self, part: pl.DataFrame, verdicts: list[dict[str, Any]], count: Count) -> None:
        for place, verdict in enumerate(verdicts):
            if verdict["status"] == "rejected":
                count.rejected += 1
                file, row = part.select("file", "row").row(place)
                self.report.rejections.append(Rejection(file, row, reason(verdict)))


def _levels(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows without a parent, then those whose parent came before, and so on; what is left names an absent parent."""
    if "parent_ref" not in frame.columns:
        yield frame
        return
    ready = pl.col("parent_ref").is_null()
    while not frame.is_empty():
        level = frame.filter(ready)
        if level.is_empty():
            yield frame
            return
        yield level
        frame = frame.filter(~ready)
        ready = pl.col("parent_ref").is_in(level["ref"].implode())


def _flag_lost(frame: pl.DataFrame, lost: pl.Expr) -> pl.DataFrame:
    return flag(frame, lost.is_not_null(), pl.format("it needs {}, which was not imported", lost))


def _lists_of_references(frame: pl.DataFrame) -> Iterator[pl.Expr]:
    """Columns ``<x>_refs``, and fields ``<x>_ref`` in lists of structs."""
    for name, dtype in frame.schema.items():
        if name.endswith("_refs"):
            yield pl.col(name)
        elif isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
            for part in dtype.inner.fields:
                if part.name.endswith("_ref"):
                    yield pl.col(name).list.eval(pl.element().struct.field(part.name))


def _only_for(verdict: dict[str, Any], field: str) -> bool:
    """Refused for nothing but a field of the row, or what is in it."""
    return verdict["status"] == "rejected" and all(
        field_of(error, verdict).partition(".")[0] == field for error in verdict["errors"]
    )

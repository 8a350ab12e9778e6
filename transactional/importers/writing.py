"""Rows into bulk commands: chunks, verdicts, and the ids by which later rows name earlier ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from transactional.importers.company import Rejection
from transactional.importers.parquet import flag
from transactional.importers.report import Count, Progress, Report
from transactional.kernel.calls import invoke
from transactional.kernel.context import Context

Payload = Callable[[pl.DataFrame], pl.DataFrame]
"""From rows with resolved ids (``<x>_ref`` became ``<x>_id``) to the fields of the command."""

Retry = Callable[[list[dict[str, Any]]], bool]
"""Whether rejected rows (verdicts) may pass later, because what they name is still on its way."""


class Writer:
    """Writes one company's rows; remembers the id of every row that stands, by its reference.

    Every row carries its reference as external key, so a row that an earlier run wrote is found and left alone: a run
    that was killed is completed by another one.
    """

    def __init__(self, source: str, ctx: Context, report: Report, progress: Progress) -> None:
        self.source = source
        self.ctx = ctx
        self.report = report
        self.progress = progress
        self.ids: dict[str, str] = {}

    def write(self, kind: str, command: str, frame: pl.DataFrame, payload: Payload, *, chunk: int) -> None:
        """Writes all rows of ``frame`` through the bulk command, rows that others name as ``parent_ref`` first."""
        count = self.report.counts.setdefault(kind, Count())
        began = time.monotonic()
        total, done = frame.height, 0
        self.progress(kind, done, total)
        for level in self._levels(frame):
            usable = self._resolved(kind, level, count)
            done += level.height - usable.height
            for part in usable.iter_slices(chunk):
                self._write_part(command, part, payload, count)
                done += part.height
                self.progress(kind, done, total)
        count.seconds += time.monotonic() - began

    def _levels(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Rows without a parent, then those whose parent is written, and so on; what is left names an absent parent."""
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

    def _resolved(self, kind: str, frame: pl.DataFrame, count: Count) -> pl.DataFrame:
        """The rows with an id for every reference; a row that names one that was not written is rejected."""
        frame = frame.with_columns(problem=pl.lit(None, pl.String))
        for column in [name for name in frame.columns if name.endswith("_ref")]:
            frame = frame.with_columns(self.id_of(pl.col(column)).alias(f"{column.removesuffix('_ref')}_id"))
            lost = pl.col(column).is_not_null() & pl.col(f"{column.removesuffix('_ref')}_id").is_null()
            frame = flag(frame, lost, pl.format("it needs {}, which was not imported", pl.col(column)))
        bad = frame.filter(pl.col("problem").is_not_null())
        count.rejected += bad.height
        self.report.rejections += [Rejection(*row) for row in bad.select("file", "row", "problem").iter_rows()]
        return frame.filter(pl.col("problem").is_null())

    def id_of(self, reference: pl.Expr) -> pl.Expr:
        """The id of a reference; null for null and for what was not written."""
        return reference.replace_strict(
            list(self.ids), list(self.ids.values()), default=None, return_dtype=pl.String
        )

    def _write_part(self, command: str, part: pl.DataFrame, payload: Payload, count: Count) -> None:
        refs = part["ref"].to_list()
        rows = [
            {"key": {"source": self.source, "key": ref}, "data": data}
            for ref, data in zip(refs, payload(part).to_dicts(), strict=True)
        ]
        answer = invoke(command, {"rows": rows}, self.ctx).data
        count.created += answer["created"]
        count.unchanged += answer["exists"]
        count.rejected += answer["rejected"]
        for ref, verdict in zip(refs, answer["verdicts"], strict=True):
            if verdict["id"] is not None:
                self.ids[ref] = verdict["id"]
        if answer["rejected"]:
            places = part.select("file", "row").rows()
            for (file, row), verdict in zip(places, answer["verdicts"], strict=True):
                if verdict["status"] == "rejected":
                    self.report.rejections.append(Rejection(file, row, reason(verdict)))


def reason(verdict: dict[str, Any]) -> str:
    """What a person reads of a rejected row: each field that is wrong, and why."""
    prefix = f"rows.{verdict['index']}."
    told = []
    for error in verdict["errors"]:
        field = error["field"].removeprefix(prefix).removeprefix("data").removeprefix(".")
        told.append(f"{field}: {error['message']}" if field and field != prefix.rstrip(".") else error["message"])
    return "; ".join(told)

"""Mends a lake that lost files or rows, from what the change log still holds; refuses, with what is lost, otherwise.

What is to be loaded again is written down first (``ops.lake_restoring``), in the transaction that takes the lost files
out of the catalogue. So a process that is killed in between leaves a lake that can be read and work that is not
forgotten, and doing that work twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg

from cdc.failpoints import reach
from pipelines.lake.errors import LakeLost
from pipelines.lake.lease import Connection, writing
from warehouse.lake.place import Lake, literal
from warehouse.lake.read import cuts
from warehouse.lake.tables import (
    CHANGES,
    CHANGES_FROM_LOG,
    TRANSACTIONS,
    TRANSACTIONS_FROM_LOG,
)
from warehouse.lake.verify import differing_batches

FAILPOINTS: Final = ("repair.lake_noted", "repair.lake_restored")

_FILES: Final = """
select f.data_file_id, t.table_name, s.path, s.path_is_relative, t.path, t.path_is_relative, f.path, f.path_is_relative,
  f.record_count,
  (select array_agg(v.partition_value order by v.partition_key_index) from lake.ducklake_file_partition_value v
   where v.data_file_id = f.data_file_id),
  x.min_value, x.max_value
from lake.ducklake_data_file f
join lake.ducklake_table t on t.table_id = f.table_id and t.end_snapshot is null
join lake.ducklake_schema s on s.schema_id = t.schema_id and s.end_snapshot is null
left join lake.ducklake_column c on c.table_id = f.table_id and c.end_snapshot is null
  and c.column_name = case t.table_name when 'changes' then 'batch_id' when 'transactions' then 'landed_no' end
left join lake.ducklake_file_column_stats x on x.data_file_id = f.data_file_id and x.column_id = c.column_id
where f.end_snapshot is null
order by f.data_file_id
"""


@dataclass(frozen=True, slots=True)
class LostFile:
    """A file that the catalogue knows and nobody can read. ``first`` to ``last``: its batches, or audit messages."""

    id: int
    path: Path
    table: str
    rows: int
    of: str
    day: date | None
    first: int
    last: int

    def __str__(self) -> str:
        part = {"changes": "batches", "transactions": "messages"}.get(self.table)
        which = f", {part} {self.first} to {self.last}" if part else ""
        return f"{self.path} ({self.rows:,} rows of {self.of or self.table}, {self.day or 'all days'}{which})"


def lost_files(lake: Lake, log: psycopg.Connection[tuple[Any, ...]]) -> list[LostFile]:
    """Files that the catalogue knows and that are not there; ``log`` is connected to the warehouse."""
    found = []
    for row in log.execute(_FILES):
        id, table, *steps, rows, parts, first, last = row
        path = lake.data
        for step, relative in zip(steps[::2], steps[1::2], strict=True):
            path = path / step if relative else Path(step)
        if not path.exists():
            day = date.fromisoformat(parts[-1]) if parts else None
            of = ".".join(parts[:-1]) if parts else ""
            found.append(LostFile(id, path, table, rows, of, day, int(first or 0), int(last or 0)))
    return found


def repair(lake: Lake, *, forget: bool = False) -> Iterator[str]:
    """Says what was lost and what was loaded again. ``forget`` gives up what nothing holds any more.

    Raises LakeLost, which names it, where ``forget`` does not say so; then nothing was changed. LakeTaken,
    LakeUnavailable, psycopg.Error.
    """
    with writing(lake.log) as log:
        lost = lost_files(lake, log)
        gone = [file for file in lost if not _is_held(log, file)]
        if gone and not forget:
            raise LakeLost([str(file) for file in gone])
        _note_files(log, lost, {file.id for file in gone})
        reach("repair.lake_noted")
        for file in lost:
            yield f"{'given up' if file in gone else 'to be loaded again'}: {file}"
        yield from _restore(lake, log)
        with lake.open(writable=True) as session:
            yield from _restore_ranges(session)
        yield from _note_differences(lake, log)
        yield from _restore(lake, log)


def _is_held(log: Connection, file: LostFile) -> bool:
    """Whether the warehouse still has every row of the file."""
    if file.table == "ranges":
        return True
    if file.table == "transactions":
        query = "select count(*) from log.transactions where landed_on = %s and landed_no between %s and %s"
        parameters: list[Any] = [file.day, file.first, file.last]
    else:
        query = (
            "select count(*) from log.change_log where landed_on = %s and batch_id between %s and %s"
            " and schema_name || '.' || table_name = %s"
        )
        parameters = [file.day, file.first, file.last, file.of]
    row = log.execute(query.encode(), parameters).fetchone()
    return bool(row and row[0] >= file.rows)


def _note_files(log: Connection, lost: Sequence[LostFile], gone: set[int]) -> None:
    """Takes the files out of the catalogue and writes down what of them is to be loaded again, in one transaction."""
    with log.transaction():
        for file in lost:
            if file.id not in gone and file.table != "ranges":
                _note(log, file.table, file.of, file.day, file.first, file.last)
            log.execute(
                "update lake.ducklake_table_stats as stats set record_count = stats.record_count - f.record_count,"
                " file_size_bytes = stats.file_size_bytes - f.file_size_bytes from lake.ducklake_data_file f"
                " where f.data_file_id = %s and stats.table_id = f.table_id",
                [file.id],
            )
            for table in ("delete_file", "file_column_stats", "file_partition_value", "data_file"):
                log.execute(f"delete from lake.ducklake_{table} where data_file_id = %s".encode(), [file.id])


def _note(log: Connection, table: str, of: str, day: date | None, first: int, last: int) -> None:
    log.execute(
        "insert into ops.lake_restoring (lake_table, of_table, landed_on, first_no, last_no)"
        " values (%s, %s, %s, %s, %s)",
        [table, of, day, first, last],
    )


def _note_differences(lake: Lake, log: Connection) -> Iterator[str]:
    """Batches that the lake has taken and does not hold as the change log does."""
    days = log.execute("select distinct (landed_at at time zone 'utc')::date from log.batch order by 1").fetchall()
    with lake.open() as session:
        ends = cuts(session)
        sources: dict[int, str] = dict(log.execute("select batch_id, source from log.batch").fetchall())
        for (day,) in days:
            for found in differing_batches(session, log, day):
                cut = ends.get(sources.get(found.part, ""))
                if cut is None or found.part > cut.batch:
                    continue
                if found.in_log[0] >= found.in_lake[0]:
                    _note(log, "changes", "", day, found.part, found.part)
                    yield f"to be loaded again: {day}, {found}"
                else:
                    yield f"! {day}, {found}; the lake has more, so it stays as it is"


def _restore(lake: Lake, log: Connection) -> Iterator[str]:
    """Loads what is written down, each piece in one DuckLake transaction that first takes out what is left of it."""
    waiting = log.execute(
        "select restoring_id, lake_table, of_table, landed_on, first_no, last_no from ops.lake_restoring order by 1"
    ).fetchall()
    if not waiting:
        return
    with lake.open(writable=True, with_log=True) as session:
        for restoring, table, of, day, first, last in waiting:
            session.execute("begin")
            rows = _reload(session, table, of, day, first, last)
            session.execute("commit")
            reach("repair.lake_restored")
            log.execute("delete from ops.lake_restoring where restoring_id = %s", [restoring])
            yield f"loaded again: {rows:,} rows of {of or table}, {day}"


def _reload(session: duckdb.DuckDBPyConnection, table: str, of: str, day: date, first: int, last: int) -> int:
    number = "batch_id" if table == "changes" else "landed_no"
    condition = f"landed_on = '{day}' and {number} between {first} and {last}"
    if of:
        schema, _, name = of.partition(".")
        condition += f" and schema_name = {literal(schema)} and table_name = {literal(name)}"
    columns, from_log, origin = (
        (CHANGES, CHANGES_FROM_LOG, "log.change_log")
        if table == "changes"
        else (TRANSACTIONS, TRANSACTIONS_FROM_LOG, "log.transactions")
    )
    session.execute(f"delete from lake.log.{table} where {condition}")
    query = literal(f"select {from_log} from {origin} where {condition}")
    row = session.execute(
        f"insert into lake.log.{table} ({columns}) select * from postgres_query('warehouse', {query})"
    ).fetchone()
    return int(row[0]) if row else 0


def _restore_ranges(session: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Where the row of a range is lost, what was loaded says itself how far it went."""
    session.execute("begin")
    row = session.execute(
        "insert into lake.log.ranges select held.source, first, last, batches, changes, coalesce(message, 0), 0, now()"
        " from (select source, min(batch_id) as first, max(batch_id) as last, count(*) as changes,"
        "  count(distinct batch_id)::integer as batches from lake.log.changes group by source) as held"
        " left join (select source, max(landed_no) as message from lake.log.transactions group by source) as told"
        "  using (source)"
        " left join (select source, max(to_batch) as known from lake.log.ranges group by source) as ranges"
        "  using (source)"
        " where known is null or known < last"
    ).fetchone()
    session.execute("commit")
    if row and row[0]:
        yield f"{row[0]} sources: where the lake ends was read from the lake itself"

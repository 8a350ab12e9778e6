"""Compares the change log with the lake, row by row: a count and the sum of every row's hash, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import duckdb
import psycopg

from warehouse.lake.place import rows

# The same text on both sides: lsn as a number, images as jsonb's canonical text, time in microseconds.
_ROW: Final = (
    "concat_ws('|', batch_id, source, epoch, xid, {lsn}, seq, {op}, schema_name, table_name, {key},"
    " coalesce({before}, '-'), coalesce({after}, '-'), {committed_at}, coalesce(commit_no, 0))"
)
_MESSAGE: Final = (
    "concat_ws('|', landed_no, source, epoch, xid, {lsn}, seq, {committed_at}, coalesce({actor}, '-'),"
    " coalesce(actor_name, '-'), coalesce(command, '-'), coalesce({request_id}, '-'), coalesce(reason, '-'), {content})"
)
_IN_LOG: Final = {
    "lsn": "(lsn - '0/0')::bigint",
    "op": "op::text",
    **{name: f"{name}::text" for name in ("key", "before", "after", "actor", "request_id", "content")},
    "committed_at": "(extract(epoch from committed_at) * 1000000)::bigint",
}
_IN_LAKE: Final = {
    "lsn": "lsn",
    **{name: name for name in ("op", "key", "before", "after", "actor", "request_id", "content")},
    "committed_at": "epoch_us(committed_at)",
}
# 60 bits: the first fifteen hexadecimal digits of md5, which both sides read as a whole number.
_LOG_SUM: Final = "sum(('x' || substr(md5({}), 1, 15))::bit(60)::bigint)"
_LAKE_SUM: Final = "sum(cast('0x' || substr(md5({}), 1, 15) as bigint))"

Tallies = dict[Any, tuple[int, int]]
"""Part → (rows, sum of hashes)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A part (a batch, a day) that is not the same on both sides; each side is (rows, sum of hashes)."""

    what: str
    part: Any
    in_log: tuple[int, int]
    in_lake: tuple[int, int]

    def __str__(self) -> str:
        if self.in_log[0] == self.in_lake[0]:
            return f"{self.what} {self.part}: rows with other contents"
        return f"{self.what} {self.part}: {self.in_log[0]} in the change log, {self.in_lake[0]} in the lake"


def differing_batches(
    session: duckdb.DuckDBPyConnection, log: psycopg.Connection[tuple[Any, ...]], day: date
) -> list[Difference]:
    """What of the change log's ``day`` is not in the lake exactly as it is there; empty if all of it is."""
    in_log = _tally(
        log.execute(
            f"select batch_id, count(*), {_LOG_SUM.format(_ROW.format(**_IN_LOG))}"
            " from log.change_log where landed_on = %s group by batch_id".encode(),
            [day],
        ).fetchall()
    )
    in_lake = _tally(
        rows(
            session,
            f"select batch_id, count(*), {_LAKE_SUM.format(_ROW.format(**_IN_LAKE))}"
            " from lake.log.changes where landed_on = ? group by batch_id",
            [day],
        )
    )
    return _differences("batch", in_log, in_lake)


def differing_messages(
    session: duckdb.DuckDBPyConnection, log: psycopg.Connection[tuple[Any, ...]], before: date
) -> list[Difference]:
    """The same of the audit messages that landed on the days before ``before`` and are still in the warehouse."""
    in_log = _tally(
        log.execute(
            f"select landed_on, count(*), {_LOG_SUM.format(_MESSAGE.format(**_IN_LOG))}"
            " from log.transactions where landed_on < %s group by landed_on".encode(),
            [before],
        ).fetchall()
    )
    if not in_log:
        return []
    in_lake = _tally(
        rows(
            session,
            f"select landed_on, count(*), {_LAKE_SUM.format(_MESSAGE.format(**_IN_LAKE))}"
            " from lake.log.transactions where landed_on < ? group by landed_on",
            [before],
        )
    )
    return _differences("audit messages of", in_log, {day: in_lake[day] for day in in_log if day in in_lake})


def _tally(found: list[tuple[Any, ...]]) -> Tallies:
    return {part: (int(count), int(total)) for part, count, total in found}


def _differences(what: str, in_log: Tallies, in_lake: Tallies) -> list[Difference]:
    nothing = (0, 0)
    return [
        Difference(what, part, in_log.get(part, nothing), in_lake.get(part, nothing))
        for part in sorted(in_log.keys() | in_lake.keys())
        if in_log.get(part, nothing) != in_lake.get(part, nothing)
    ]

"""Compares a hot mart with what a full rebuild would hold at the same moment; changes nothing.

A mart is rebuilt beside, into a temporary table, from what it reads as that stands: if every mart equals its own SQL
over its inputs, all of them equal a rebuild of everything. Keys that batches in the lane's queue touch are left out:
the lane has still to come to them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from pipelines.landing.text import array_literal
from pipelines.refresh.errors import RefreshError
from pipelines.refresh.program import HotModel, Program
from warehouse.compile import no_build

Connection = psycopg.Connection[tuple[Any, ...]]

STATEMENT_SECONDS: Final = 300
"""A rebuild beside that takes longer is given up: it would hold vacuum back."""

MAX_WAITING: Final = 500
"""Batches in the lane's queue beyond which comparing waits: most keys would be left out."""

PATIENCE: Final = 60.0
"""Seconds to wait for the lane to come that near, and for a build to end."""

SHOWN: Final = 20


class TooFarBehind(RefreshError):
    """The lane has so much to do that nothing can be said about drift."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} batches wait for the hot lane; compare again when it has caught up.")


@dataclass(frozen=True, slots=True)
class Drift:
    """``left_out`` counts keys that the lane has still to refresh. ``lacking`` and ``excess`` are the first keys of
    rows that a rebuild has and the mart has not, and the other way round; a key in both has another value."""

    model: str
    rows: int
    rebuilt_rows: int
    left_out: int
    lacking: tuple[str, ...]
    excess: tuple[str, ...]
    seconds: float

    @property
    def is_equal(self) -> bool:
        return not self.lacking and not self.excess


def compare(warehouse_dsn: str, program: Program, models: Sequence[str]) -> Iterator[Drift]:
    """One after the other, each in a snapshot of its own. Raises TooFarBehind; psycopg.Error where a rebuild fails."""
    options = f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={PATIENCE:.0f}s"
    with psycopg.connect(
        warehouse_dsn, autocommit=True, options=options, application_name="headwater drift"
    ) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for model in program.models:
            if model.name in models:
                with no_build(connection):
                    yield _compare(connection, model)


def _compare(connection: Connection, model: HotModel) -> Drift:
    began = time.monotonic()
    columns = model.insert_all.split(" select ", 1)[1].split(" from (", 1)[0]
    with _caught_up(connection) as batches:
        left_out = _touched(connection, model, batches)
        connection.execute(f"create temporary table rebuilt (like {model.relation}) on commit drop".encode())
        connection.execute(model.insert_all.replace(f"insert into {model.relation}", "insert into rebuilt", 1).encode())
        standing, rebuilt = (_digest(connection, table, model, left_out) for table in (model.relation, "rebuilt"))
        lacking: tuple[str, ...] = ()
        excess: tuple[str, ...] = ()
        if standing != rebuilt:
            lacking = _only_in(connection, "rebuilt", model.relation, model, columns, left_out)
            excess = _only_in(connection, model.relation, "rebuilt", model, columns, left_out)
        return Drift(
            model.name, standing[0], rebuilt[0], len(left_out), lacking, excess, round(time.monotonic() - began, 3)
        )


@contextmanager
def _caught_up(connection: Connection) -> Iterator[list[int]]:
    """A snapshot in which few batches wait for the lane, which are given. Nothing in it is kept."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with connection.transaction(force_rollback=True):
            batches = [b for (b,) in connection.execute("select batch_id from log.queue where consumer = 'refresh'")]
            ((to_follow,),) = connection.execute("select exists (select from ops.to_follow)").fetchall()
            if len(batches) <= MAX_WAITING and not to_follow:
                yield batches
                return
        if time.monotonic() > deadline:
            raise TooFarBehind(len(batches))
        time.sleep(0.2)


def _touched(connection: Connection, model: HotModel, batches: Sequence[int]) -> list[str]:
    """The keys that the lane has still to refresh, as text; those parked for their data among them."""
    if not batches:
        return []
    waiting = array_literal([str(batch) for batch in batches])
    raw = psycopg.RawCursor(connection)
    days = [
        str(day)
        for (day,) in raw.execute(
            "select distinct landed_on::text from log.change_log where batch_id = any($1::bigint[])", [waiting]
        )
    ]
    keys: set[str] = set()
    for statement in model.touched.values():
        keys.update(key for (key,) in raw.execute(statement.encode(), [waiting, array_literal(days), None]))
    return sorted(keys)


def _digest(connection: Connection, table: str, model: HotModel, left_out: Sequence[str]) -> tuple[int, int]:
    row = (
        psycopg.RawCursor(connection)
        .execute(
            "select count(*), coalesce(sum(hashtextextended(compared::text, 0)::numeric), 0)"
            f' from {table} as compared where not "{model.key}"::text = any($1::text[])'.encode(),
            [array_literal(left_out)],
        )
        .fetchone()
    )
    assert row is not None
    return int(row[0]), int(row[1])


def _only_in(
    connection: Connection, here: str, there: str, model: HotModel, columns: str, left_out: Sequence[str]
) -> tuple[str, ...]:
    rows = (
        psycopg.RawCursor(connection)
        .execute(
            f'select distinct "{model.key}"::text'
            f" from (select {columns} from {here} except all select {columns} from {there}) as only_here"
            f' where not "{model.key}"::text = any($1::text[]) order by 1 limit {SHOWN}'.encode(),
            [array_literal(left_out)],
        )
        .fetchall()
    )
    return tuple(str(key) for (key,) in rows)

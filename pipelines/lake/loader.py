"""Moves what landed into the lake: closed ranges of each source's batches, one DuckLake transaction a load.

The range's row is written with the changes. So the lake knows by itself, per source, which batch was its last one: a
loader that is killed between the lake's commit and its queue finds there what it need not load again, and a reader
cuts the change log exactly where the lake ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import duckdb
import psycopg

from cdc.failpoints import reach
from pipelines import tracing
from pipelines.lake.lease import Connection, writing
from warehouse.lake.place import Lake, literal
from warehouse.lake.read import Cut, cuts
from warehouse.lake.tables import CHANGES, CHANGES_FROM_LOG, TRANSACTIONS, TRANSACTIONS_FROM_LOG, make_tables
from warehouse.lake.typed import follow

ROWS: Final = 50_000
"""Changes of one load, about: the first batch is loaded whatever its size."""

NOT_HELD_BACK: Final = """not exists (
  select
  from log.snapshot
  join log.position on position.source = snapshot.source and position.epoch = snapshot.epoch
  where snapshot.source = batch.source and snapshot.finished_at is null
)"""
"""Of ``batch``. A source whose tables are being read whole waits: a table that begins anew takes its earlier rows out
of the change log."""

_QUEUED: Final = f"""
select batch.source, batch.batch_id, batch.changes, (batch.landed_at at time zone 'utc')::date
from log.queue
join log.batch using (batch_id)
where queue.consumer = 'lake' and {NOT_HELD_BACK}
order by batch.batch_id
limit 20000
"""
_MESSAGES: Final = """
select source, (select max(landed_no) from log.transactions where transactions.source = position.source)
from log.position
"""


@dataclass(frozen=True, slots=True)
class Range:
    """Every batch of one source from ``first`` to ``last``, and its audit messages up to ``message``."""

    source: str
    first: int
    last: int
    batches: int
    days: tuple[date, date]
    after_message: int
    message: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load did."""

    batches: int = 0
    changes: int = 0
    transactions: int = 0


@dataclass(frozen=True, slots=True)
class _Claim:
    """``done`` are queued batches that the lake holds already; ``more`` says that the queue holds others."""

    ranges: tuple[Range, ...]
    batches: tuple[int, ...]
    done: tuple[int, ...]


def load(lake: Lake, *, rows: int = ROWS, patience: float | None = None) -> Loaded:
    """Loads the oldest waiting batches, some ``rows`` changes; Loaded(0, 0, 0) where nothing waits.

    Raises LakeTaken, LakeUnavailable, psycopg.Error; any of them leaves lake and queue as they were.
    """
    arguments = {} if patience is None else {"patience": patience}
    with writing(lake.log, **arguments) as log, lake.open(writable=True, with_log=True) as session:
        make_tables(session)
        claim = _claim(log, cuts(session), rows)
        reach("lake.claimed")
        follow(session, log)
        with tracing.spans("lake", tracing.parents_of_batches(log, claim.batches), batches=len(claim.batches)):
            loaded = _write(session, claim) if claim.ranges else Loaded()
            _release(log, claim)
        return loaded


def drain(lake: Lake) -> Loaded:
    """Loads until nothing waits; for batch use. Raises as ``load`` does."""
    total = Loaded()
    while (done := load(lake)).batches:
        total = Loaded(
            total.batches + done.batches, total.changes + done.changes, total.transactions + done.transactions
        )
    return total


def _claim(log: Connection, loaded: Mapping[str, Cut], limit: int) -> _Claim:
    """Queue and messages in one snapshot: the messages of every batch that is seen are seen, too."""
    log.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with log.transaction():
        queued = log.execute(_QUEUED).fetchall()
        messages = {source: last or 0 for source, last in log.execute(_MESSAGES)}
    fresh: dict[str, list[tuple[int, date]]] = {}
    done: list[int] = []
    taken = 0
    for source, batch_id, changes, day in queued:
        cut = loaded.get(source)
        if cut is not None and batch_id <= cut.batch:
            done.append(batch_id)
            continue
        if taken and taken + changes > limit:
            break
        taken += changes
        fresh.setdefault(source, []).append((batch_id, day))
    ranges = tuple(
        _range(source, batches, loaded.get(source, Cut()), messages.get(source, 0)) for source, batches in fresh.items()
    )
    return _Claim(ranges, tuple(batch for batches in fresh.values() for batch, _ in batches), tuple(done))


def _range(source: str, batches: Sequence[tuple[int, date]], cut: Cut, message: int) -> Range:
    ids, days = [batch for batch, _ in batches], [day for _, day in batches]
    # A batch is dated when it began to be written; its rows' day is taken a moment later.
    around = (min(days) - timedelta(days=1), max(days) + timedelta(days=1))
    return Range(source, min(ids), max(ids), len(ids), around, cut.message, max(message, cut.message))


def _write(session: duckdb.DuckDBPyConnection, claim: _Claim) -> Loaded:
    session.execute("begin")
    loaded = Loaded(batches=len(claim.batches))
    for taken in claim.ranges:
        changes = insert_changes(session, taken.source, taken.first, taken.last, taken.days)
        transactions = _count(
            session,
            f"insert into lake.log.transactions ({TRANSACTIONS}) select * from postgres_query('warehouse', "
            + literal(
                f"select {TRANSACTIONS_FROM_LOG} from log.transactions where source = {literal(taken.source)}"
                f" and landed_no > {taken.after_message} and landed_no <= {taken.message}"
            )
            + ")",
        )
        session.execute(
            "insert into lake.log.ranges values (?, ?, ?, ?, ?, ?, ?, now())",
            [taken.source, taken.first, taken.last, taken.batches, changes, taken.message, transactions],
        )
        loaded = Loaded(loaded.batches, loaded.changes + changes, loaded.transactions + transactions)
    reach("lake.written")
    session.execute("commit")
    reach("lake.after_commit")
    return loaded


def insert_changes(
    session: duckdb.DuckDBPyConnection, source: str, first: int, last: int, days: tuple[date, date], also: str = ""
) -> int:
    """Copies the changes of a source's batches from the change log, those for which ``also`` holds; how many."""
    return _count(
        session,
        f"insert into lake.log.changes ({CHANGES}) select * from postgres_query('warehouse', "
        + literal(
            f"select {CHANGES_FROM_LOG} from log.change_log where source = {literal(source)}"
            f" and batch_id between {first} and {last} and landed_on between '{days[0]}' and '{days[1]}'{also}"
        )
        + ")",
    )


def _count(session: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = session.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _release(log: Connection, claim: _Claim) -> None:
    log.execute("delete from log.queue where consumer = 'lake' and batch_id = any(%s)", [[*claim.batches, *claim.done]])
    reach("lake.after_queue")

"""Drops days of the change log that are past keeping and stand, row by row, in the lake."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg

from cdc.failpoints import reach
from pipelines.lake.errors import Unverified
from pipelines.lake.lease import Connection, writing
from pipelines.lake.loader import drain
from warehouse.change_log import partition_name
from warehouse.lake.place import Lake
from warehouse.lake.verify import differing_batches, differing_messages

KEEP_DAYS: Final = 35

_DAYS: Final = """
select to_date(right(relname, 8), 'YYYYMMDD')
from pg_inherits
join pg_class on pg_class.oid = inhrelid
where inhparent = 'log.change_log'::regclass and relname ~ '^change_log_[0-9]{8}$'
order by 1
"""
_WAITING: Final = (
    "select 'batch ' || batch_id || ' waits to be loaded' from log.queue join log.batch using (batch_id)"
    " where consumer = 'lake' and landed_at < %s::timestamp at time zone 'utc' + interval '1 day 1 hour'"
    " order by batch_id"
)


def verify(lake: Lake, day: date) -> list[str]:
    """What of one day of the change log is not, row by row, in the lake; empty if all is. Changes nothing."""
    with (
        psycopg.connect(lake.log, autocommit=True, application_name="headwater lake verify") as log,
        lake.open() as session,
    ):
        waiting = [str(text) for (text,) in log.execute(_WAITING, [day])]
        batches = differing_batches(session, log, day)
        messages = differing_messages(session, log, day + timedelta(days=1))
        return waiting or [str(difference) for difference in (*batches, *messages)]


def drop_verified(lake: Lake, *, today: date | None = None, keep_days: int = KEEP_DAYS) -> list[date]:
    """Drops every partition that landed more than ``keep_days`` ago, once verified; the days that were dropped.

    Raises Unverified for the first day that is not, after dropping the others.
    """
    last = (today or datetime.now(UTC).date()) - timedelta(days=keep_days)
    with psycopg.connect(lake.log, autocommit=True) as log:
        due = [day for (day,) in log.execute(_DAYS) if day < last]
    if not due:
        return []
    drain(lake)
    dropped: list[date] = []
    refused: Unverified | None = None
    for day in due:
        try:
            _drop(lake, day)
            dropped.append(day)
        except Unverified as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return dropped


def _drop(lake: Lake, day: date) -> None:
    """Under the lease, so that nothing rewrites lake or log between the comparison and the drop."""
    with writing(lake.log) as log:
        if differences := verify(lake, day):
            raise Unverified(str(day), differences)
        reach("lake.before_drop")
        with log.transaction():
            log.execute("set local lock_timeout = '5s'")
            _keep_dimensions(log, day)
            _note_dropped(log, day)
            log.execute(f"drop table log.{partition_name(day)}".encode())
            # A change may have landed a moment after midnight, its message a moment before.
            log.execute("delete from log.transactions where landed_on < %s", [day])
            _forget_batches(log, day)
        reach("lake.after_drop")


def _keep_dimensions(log: Connection, day: date) -> None:
    """Dimensions with a history (SCD2) are built in the warehouse, so the changes they are made of stay there."""
    log.execute("select ops.keep_dimension_changes(%s)", [day])


def _note_dropped(log: Connection, day: date) -> None:
    """Timelines ask the lake for what was committed up to the last commit of a dropped day."""
    log.execute(
        "insert into log.dropped_day (landed_on, last_committed_at)"
        " select %(day)s, max(committed_at) from log.change_log where landed_on = %(day)s"
        " on conflict (landed_on) do update"
        " set last_committed_at = greatest(dropped_day.last_committed_at, excluded.last_committed_at)",
        {"day": day},
    )


def _forget_batches(log: psycopg.Connection[tuple[Any, ...]], day: date) -> None:
    """Batches of dropped days, except each source's last one, from which watermarks are read."""
    log.execute(
        "delete from log.batch as old where landed_at < %s::timestamp at time zone 'utc'"
        " and exists (select from log.batch as later where later.source = old.source"
        " and later.batch_id > old.batch_id)"
        " and not exists (select from log.queue where queue.batch_id = old.batch_id)",
        [day],
    )

"""What the warehouse says of its own freshness, as metadata of materialisations: read, never waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
Metadata = dict[str, Any]


def landed(warehouse: Connection) -> dict[str, Metadata]:
    """Per source: position, the last commit that landed, and what landing does."""
    rows = warehouse.execute(
        "select source, p.epoch, p.lsn::text, p.committed_at, coalesce(s.state, 'unknown'), s.error"
        " from log.position p left join log.source_state s using (source) order by source"
    ).fetchall()
    return {
        source: _filled({"position": lsn, "epoch": epoch, "watermark": _moment(at), "state": state, "error": error})
        for source, epoch, lsn, at, state, error in rows
    }


def refreshed(warehouse: Connection) -> dict[str, Metadata]:
    """Per hot model: the last commit that it holds, of the source that is furthest behind; and its rows, about."""
    rows = warehouse.execute(
        "select s.model, min(s.committed_at), max(s.refreshed_at), max(c.reltuples)::bigint"
        " from ops.model_state s left join pg_class c on c.relname = s.model and c.relkind = 'r'"
        " and c.relnamespace in ('marts'::regnamespace, 'reporting'::regnamespace) group by s.model order by s.model"
    ).fetchall()
    return {
        model: _filled({"watermark": _moment(committed), "refreshed at": _moment(at), "rows, about": _known(rows)})
        for model, committed, at, rows in rows
    }


def mirror_rows(warehouse: Connection, schema: str, table: str) -> Metadata:
    """The number of rows as PostgreSQL last estimated it; counting a large table takes seconds."""
    row = warehouse.execute(
        "select c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = %s",
        [schema, table],
    ).fetchone()
    return _filled({"rows, about": _known(row[0] if row else None)})


def queue_of(warehouse: Connection, consumer: str) -> tuple[int, float]:
    """Batches that wait for a reader, and the age in seconds of the oldest."""
    row = warehouse.execute(
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(b.landed_at)), 0)::float8"
        " from log.queue q join log.batch b using (batch_id) where q.consumer = %s",
        [consumer],
    ).fetchone()
    return (int(row[0]), float(row[1])) if row else (0, 0.0)


def _known(estimate: int | None) -> int | None:
    return None if estimate is None or estimate < 0 else estimate


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _filled(metadata: Metadata) -> Metadata:
    return {name: value for name, value in metadata.items() if value is not None}

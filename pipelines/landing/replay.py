"""Applies parked changes again, key by key in their order, once whatever made the mirror refuse them is mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from cdc.events import Column, Relation, Value
from cdc.positions import parse_lsn
from pipelines.landing.compaction import Version
from pipelines.landing.errors import is_refusal
from pipelines.landing.mirrors import Connection, Mirrors


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """One key that waits: how many changes, since when, and why the first of them was refused."""

    source: str
    table: str
    key: dict[str, str | None]
    changes: int
    since: str
    error: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many changes were applied, and the keys that are still refused."""

    applied: int
    still_refused: list[ParkedKey]


def list_parked(connection: Connection, source: str | None = None) -> list[ParkedKey]:
    """Every parked key of one source, or of all, oldest first."""
    rows = connection.execute(
        "select source, schema_name || '.' || table_name, key, count(*), min(parked_at)::text,"
        " (array_agg(error order by parked_id))[1]"
        " from log.parked where source = coalesce(%s, source) group by 1, 2, 3 order by min(parked_id)",
        [source],
    )
    return [ParkedKey(*row) for row in rows]


def replay_parked(
    warehouse_dsn: str, source: str, table: str | None = None, key: dict[str, str | None] | None = None
) -> Replayed:
    """Applies the parked changes of ``source``; of one ``table`` (``schema.table``) or one ``key`` of it if given.

    Landing of the source waits meanwhile (it needs the row of ``log.position``), so no later change overtakes one that
    is parked. A key whose change is refused again stays, from that change on. The batches that the changes came with
    are queued again for every consumer, which then sees the mirror as it is now.
    """
    with psycopg.connect(warehouse_dsn, autocommit=True) as connection, connection.transaction():
        connection.execute("select from log.position where source = %s for update", [source])
        mirrors = Mirrors(connection, source, frozenset())
        mirrors.load()
        applied = 0
        for waiting in list_parked(connection, source):
            if table in (None, waiting.table) and key in (None, waiting.key):
                applied += _replay_key(connection, mirrors, waiting)
        left = [k for k in list_parked(connection, source) if table in (None, k.table) and key in (None, k.key)]
    return Replayed(applied, left)


def _replay_key(connection: Connection, mirrors: Mirrors, waiting: ParkedKey) -> int:
    rows = connection.execute(
        "select parked_id, batch_id, op::text, lsn::text, seq, after,"
        " (extract(epoch from committed_at) * 1000000)::bigint, schema_name, table_name"
        " from log.parked where source = %s and schema_name || '.' || table_name = %s and key = %s"
        " order by parked_id",
        [waiting.source, waiting.table, orjson.dumps(waiting.key).decode()],
    ).fetchall()
    applied = 0
    for parked_id, batch_id, op, lsn, seq, after, committed_at, schema, table in rows:
        version = Version([], parse_lsn(lsn), seq, op == "d", committed_at, False)
        try:
            with connection.transaction():
                _apply(connection, mirrors, schema, table, after, version, read=op == "r")
                connection.execute("delete from log.parked where parked_id = %s", [parked_id])
                connection.execute(
                    "insert into log.queue (consumer, batch_id) select name, %s from log.consumer"
                    " on conflict do nothing",
                    [batch_id],
                )
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            words = f"{error.sqlstate}: {str(error).strip()}"
            connection.execute("update log.parked set error = %s where parked_id = %s", [words, parked_id])
            return applied
        applied += 1
    connection.execute("select pg_notify('hw_landed', '')")
    return applied


def _apply(
    connection: Connection,
    mirrors: Mirrors,
    schema: str,
    table: str,
    image: dict[str, Any],
    version: Version,
    *,
    read: bool,
) -> None:
    """Writes one parked version under the columns that the mirror has by now."""
    mirror = mirrors.named(schema, table)
    assert mirror is not None, "a mirror is never removed"
    values: list[Value] = []
    columns: list[Column] = []
    for name, value in image.items():
        if name in mirror.columns:
            columns.append(Column(name, 0, -1, name in mirror.key))
            values.append(value)
    plan = mirrors.plan(Relation(mirror.relid, schema, table, "d", tuple(columns)))
    assert plan is not None, "a parked change has a key"
    version.values = values
    raw = psycopg.RawCursor(connection)
    plan.write(lambda statement, parameters: raw.execute(statement.encode(), parameters), [version], read=read)

"""Copies from the lake what dimensions with a history need and the change log no longer holds."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from warehouse.lake.place import Lake

TABLES: Final = (("contacts", "account"), ("inventory", "product"))
"""As ``ops.has_dimension_history`` knows them."""

_CHUNK: Final = 10_000
_COPY: Final = (
    "copy ops.dimension_change (source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before,"
    " after, committed_at, commit_no) from stdin"
)


def copy_dimension_changes(lake: Lake) -> int:
    """Fills ``ops.dimension_change`` anew, in one transaction: the changes of days before the change log's first.

    Answers how many. The models are built from it by whoever builds next. Raises LakeUnavailable, psycopg.Error.
    """
    condition = " or ".join(f"(schema_name = '{schema}' and table_name = '{table}')" for schema, table in TABLES)
    with psycopg.connect(lake.log, autocommit=True) as log, lake.open() as session, log.transaction():
        # A day is dropped under this lock, so none can go between the look and the copy.
        log.execute("lock table ops.dimension_change in share row exclusive mode")
        log.execute("delete from ops.dimension_change")
        kept = log.execute(
            "select array_agg(to_date(right(relname, 8), 'YYYYMMDD')) from pg_inherits"
            " join pg_class on pg_class.oid = inhrelid where inhparent = 'log.change_log'::regclass"
        ).fetchone()
        days: list[Any] = (kept and kept[0]) or []
        found = session.execute(
            "select source, epoch, batch_id, xid, format('{:X}/{:X}', lsn >> 32, lsn & 4294967295), seq, op,"
            f" schema_name, table_name, key, before, after, committed_at, coalesce(commit_no, 0)"
            f" from lake.log.changes where ({condition})"
            " and not list_contains(cast(? as date[]), landed_on)",
            [days],
        )
        copied = 0
        with log.cursor() as cursor, cursor.copy(_COPY) as copy:
            while chunk := found.fetchmany(_CHUNK):
                for row in chunk:
                    copy.write_row(row)
                copied += len(chunk)
        log.execute("analyze ops.dimension_change")
    return copied

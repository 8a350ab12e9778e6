"""Primary keys of a database's tables as of any position of its stream, for the decoder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from cdc.positions import parse_lsn

_PRESENT_SQL: Final = """
    select i.indrelid as relid, array_agg(a.attname::text order by k.place) as key
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indrelid and c.relkind in ('r', 'p')
    cross join lateral unnest(i.indkey::int2[]) with ordinality k (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indisprimary and k.place <= i.indnkeyatts and i.indrelid >= 16384
    group by i.indrelid
"""
_VERSIONS_SQL: Final = """
    select relid, lsn::text, array(select jsonb_array_elements_text(description -> 'key')) as key
    from headwater_ddl.table_version
    where description is not null
    order by id
"""


class KeyHistory:
    """(relid, lsn, columns) → the table's primary key columns as of ``lsn``; empty if it had none.

    The shadow catalogue of the event trigger knows every version; for a table it does not know, the present key is the
    answer. Everything is read at once, and again when a table turns up that was not there.
    ``known`` (relid → key) is given where there is no trigger: what a table's rows were keyed by so far holds as long
    as ``columns``, all that the stream sends of it, has them; from then on the present key does.
    ``next_xid`` is the 64-bit id of the next transaction at the moment of reading.
    """

    def __init__(
        self,
        dsn: str,
        connection: psycopg.Connection[dict[str, Any]],
        known: Mapping[int, tuple[str, ...]] | None = None,
    ) -> None:
        self._dsn = dsn
        self._known = known
        self.next_xid = 0
        self._versions: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
        self._read(connection)

    def __call__(self, relid: int, lsn: int, columns: Collection[str]) -> tuple[str, ...]:
        """Raises psycopg.OperationalError when the database must be asked and does not answer."""
        if self._known is not None:
            so_far = self._known.get(relid, ())
            if so_far and set(so_far) <= set(columns):
                return so_far
        if relid not in self._versions or self._known is not None:
            with psycopg.connect(self._dsn, autocommit=True, row_factory=dict_row) as connection:
                self._read(connection)
        versions = self._versions.setdefault(relid, [(0, ())])
        known = [key for since, key in versions if since <= lsn]
        return known[-1] if known else versions[0][1]

    def _read(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        versions: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
        state = connection.execute(
            """
            select pg_snapshot_xmax(pg_current_snapshot())::text as next_xid,
              to_regclass('headwater_ddl.table_version') is not null as shadow
            """
        ).fetchone()
        assert state is not None
        self.next_xid = int(state["next_xid"])
        if state["shadow"] and self._known is None:
            for row in connection.execute(_VERSIONS_SQL):
                versions.setdefault(row["relid"], []).append((parse_lsn(row["lsn"]), tuple(row["key"])))
        for row in connection.execute(_PRESENT_SQL):
            versions.setdefault(row["relid"], [(0, tuple(row["key"]))])
        self._versions = versions

"""Changes the mirror refused: kept per key with their successors, in order, until they are replayed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from cdc.events import UNCHANGED, Relation, Value
from cdc.positions import format_lsn
from pipelines.landing.compaction import Half, Key
from pipelines.landing.mirrors import Connection
from pipelines.landing.text import timestamp_text

PARKED_KEYS_SQL: Final = "select distinct schema_name, table_name, key from log.parked where source = %s"

_NONE: Final[frozenset[Key]] = frozenset()


class Parked:
    """The parked keys of one source, as of the transaction that ``rows`` of PARKED_KEYS_SQL were read in.

    ``batch_id`` is the batch that what is parked from here on belongs to.
    """

    def __init__(self, connection: Connection, source: str, epoch: int, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._source = source
        self._epoch = epoch
        self.batch_id = 0
        self._load(rows)

    def reload(self) -> None:
        """After a schema change, which may have renamed what is parked."""
        self._load(self._connection.execute(PARKED_KEYS_SQL, [self._source]))

    def _load(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._stored: dict[tuple[str, str], list[dict[str, str | None]]] = {}
        self._keys: dict[int, tuple[Relation, set[Key]]] = {}
        for schema, table, key in rows:
            self._stored.setdefault((schema, table), []).append(key)

    def keys(self, relation: Relation) -> frozenset[Key] | set[Key]:
        """The parked keys of a table, in the order of the relation's key columns."""
        if not self._stored:
            return _NONE
        known = self._keys.get(id(relation))
        if known is None:
            names = [relation.columns[i].name for i in relation.key_indexes]
            stored = self._stored.get((relation.schema, relation.table), [])
            known = (relation, {tuple(key.get(name) for name in names) for key in stored})
            self._keys[id(relation)] = known
        return known[1]

    def park(self, half: Half, error: str) -> None:
        event, version = half.event, half.version
        relation = event.relation
        names = [relation.columns[i].name for i in relation.key_indexes]
        key = dict(zip(names, half.key, strict=True))
        self._stored.setdefault((relation.schema, relation.table), []).append(key)
        for other, keys in self._keys.values():
            if other.qualified_name == relation.qualified_name:
                keys.add(half.key)
        image: dict[str, Value] = {
            name: value for name, value in zip(relation.names, version.values, strict=True) if value is not UNCHANGED
        }
        self._connection.execute(
            "insert into log.parked (batch_id, source, epoch, schema_name, table_name, key, xid, lsn, seq, op, after,"
            " committed_at, error) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self.batch_id,
                self._source,
                self._epoch,
                relation.schema,
                relation.table,
                orjson.dumps(key).decode(),
                event.xid,
                format_lsn(version.lsn),
                version.seq,
                half.op,
                orjson.dumps(image).decode(),
                timestamp_text(version.committed_at),
                error,
            ],
        )

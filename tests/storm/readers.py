"""An auditor's comparison of what else reads landed batches: the lake with the change log, the search index with its
documents. Like ``verify``, it uses nothing of the code that carried the data, except to open what it reads."""

from __future__ import annotations

from collections import Counter
from typing import Any

from psycopg import sql

from search.port import Engine
from tests.storm.verify import Databases, Finding, connect
from warehouse.lake.place import Lake

_IDENTITY = "source, epoch, xid, {lsn}, seq, {op}, schema_name, table_name, {key}, batch_id"
_LOG = _IDENTITY.format(lsn="(lsn - '0/0')::bigint", op="op::text", key="key::text")
_LAKE = _IDENTITY.format(lsn="lsn", op="op", key="key")

INDEXED = {
    "account": ("contacts", "account", "account_uuid"),
    "contact": ("contacts", "contact", "id"),
    "product": ("inventory", "product", "id"),
    "order": ("orders", "sales_order", "id"),
}
"""Entity → schema, table and key of the rows that are its documents."""


def lake_holds_each_change_once(databases: Databases, lake: Lake) -> Finding:
    """Lake ∪ change log: whatever was logged is in the lake or waits for it, and nothing is there twice."""
    finding = Finding("lake ∪ change log holds each change once")
    with connect(databases.warehouse) as warehouse:
        logged = _count(warehouse.execute(f"select {_LOG} from log.change_log".encode()).fetchall())
        waiting = {
            batch for (batch,) in warehouse.execute("select batch_id from log.queue where consumer = 'lake'").fetchall()
        }
    with lake.open() as session:
        stored = _count(session.execute(f"select {_LAKE} from lake.log.changes").fetchall())
    finding.compared = logged.total()
    finding.fault("changes that the lake holds twice, doubled", [c for c, times in stored.items() if times > 1])
    finding.fault("changes lost to the lake", [c for c in logged if c not in stored and c[-1] not in waiting])
    finding.fault("changes that only the lake has", stored.keys() - logged.keys())
    return finding


def search_equals_documents(databases: Databases, engine: Engine) -> Finding:
    """The index of each entity has a document for every row at the source, and for no other."""
    finding = Finding("search = documents")
    for entity, (schema, table, key) in INDEXED.items():
        with connect(databases.services[schema]) as source:
            rows = source.execute(
                sql.SQL("select {} from {}").format(sql.Identifier(key), sql.Identifier(schema, table))
            )
            standing = {str(found) for (found,) in rows}
        indexed = {str(id) for stored in engine.scan(entity) for id in stored}
        finding.compared += len(standing)
        finding.fault(f"rows of {schema}.{table} lost to search", standing - indexed)
        finding.fault(f"documents of {entity} without a row", indexed - standing)
    return finding


def _count(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    return Counter((*map(str, row[:-1]), row[-1]) for row in rows)

"""Comparing an index with the documents that the mirror gives: what is missing, drifted or orphaned, by hash.

Streams in key order with bounded memory; what was found is mended by the sync, under the ledger like every write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import psycopg

from search.documents import ROOTS, load, root_ids
from search.port import Engine

Connection = psycopg.Connection[tuple[Any, ...]]

CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True)
class Difference:
    """``missing``: the index lacks them. ``drifted``: it holds something else. ``orphaned``: there is no such row."""

    entity: str
    kind: Literal["missing", "drifted", "orphaned"]
    ids: tuple[UUID, ...]


def reconcile(connection: Connection, engine: Engine, entity: str) -> Iterator[Difference]:
    """Differences, at most one of each kind per chunk. Changes that still wait in the queue show as differences too."""
    after: UUID | None = None
    while ids := root_ids(connection, entity, after, CHUNK):
        documents = load(connection, entity, ids)
        stored = engine.stored(entity, ids)
        missing = tuple(id for id in documents if id not in stored)
        drifted = tuple(id for id, document in documents.items() if stored.get(id, document.hash) != document.hash)
        orphaned = tuple(id for id in stored if id not in documents)
        yield from _differences(entity, missing, drifted, orphaned)
        after = ids[-1]
    for stored in engine.scan(entity):
        known = _rows(connection, entity, list(stored))
        yield from _differences(entity, (), (), tuple(id for id in stored if id not in known))


def _differences(
    entity: str, missing: tuple[UUID, ...], drifted: tuple[UUID, ...], orphaned: tuple[UUID, ...]
) -> Iterator[Difference]:
    if missing:
        yield Difference(entity, "missing", missing)
    if drifted:
        yield Difference(entity, "drifted", drifted)
    if orphaned:
        yield Difference(entity, "orphaned", orphaned)


def _rows(connection: Connection, entity: str, ids: list[UUID]) -> set[UUID]:
    """Of these keys, those that the mirror has a row of, deleted or not: the first half has looked at them."""
    schema, table, key = ROOTS[entity]
    found = connection.execute(f"select {key} from raw_{schema}.{table} where {key} = any(%s)".encode(), [ids])
    return {id for (id,) in found}

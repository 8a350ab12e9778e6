"""The version ledger: which document is the newest, what is being written and by whom. A late older one never wins.

A document is read from the mirror under the lock of its row here, so versions grow with the state that they are of. A
writer looks whether its versions are still the newest before it gives them to the engine, and again once the engine
has them; whatever was overtaken in between it writes anew. What a dead writer may have left in the engine's hands is
written anew by its successor, and once more after a while, in case the dead one was only asleep.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from search.documents import Document, load

Connection = psycopg.Connection[tuple[Any, ...]]

SLEEP: Final = "10 minutes"
"""How long a writer that lost its lease may still be about to write: an HTTP request that waited, a stopped process."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Documents with the version that each was given; ``remove`` are rows that are gone."""

    entity: str
    put: dict[UUID, Document]
    remove: frozenset[UUID]
    versions: dict[UUID, int]

    def only(self, ids: Collection[UUID]) -> Prepared:
        return Prepared(
            self.entity,
            {id: document for id, document in self.put.items() if id in ids},
            frozenset(id for id in self.remove if id in ids),
            {id: version for id, version in self.versions.items() if id in ids},
        )


class Ledger:
    """One writer's view of it. ``connection`` is in autocommit mode, in READ COMMITTED."""

    def __init__(self, connection: Connection, writer: UUID) -> None:
        self._connection = connection
        self.writer = writer

    def prepare(self, entity: str, ids: Sequence[UUID], *, force: bool = False, building: bool = False) -> Prepared:
        """Reads the documents of these rows and gives a version to each that the index does not hold as it is.

        ``force`` gives one to every document, whatever the ledger believes of the index. So does ``building``, and it
        believes nothing afterwards: the index being built may have read another state of a document meanwhile.
        """
        ordered = sorted(set(ids))
        with self._connection.transaction():
            self._connection.execute(
                "insert into search.document (entity, id, version, hash, era)"
                " select %s, id, 0, null, -1 from unnest(%s::uuid[]) as id on conflict do nothing",
                [entity, ordered],
            )
            known = {
                id: (version, hash if current else None, current)
                for id, version, hash, current in self._connection.execute(
                    "select document.id, document.version, document.hash, coalesce(document.era = standing.era, false)"
                    " from search.document as document left join search.standing as standing using (entity)"
                    " where document.entity = %s and document.id = any(%s::uuid[]) order by document.id"
                    " for update of document",
                    [entity, ordered],
                )
            }
            under_way = {
                id
                for (id,) in self._connection.execute(
                    "select id from search.writing where entity = %s and id = any(%s::uuid[])", [entity, ordered]
                )
            }
            # A statement of its own after the locks: it sees whatever the holder before committed.
            documents = load(self._connection, entity, ordered)
            wanted = [
                id
                for id in ordered
                if force or building or id in under_way or not known[id][2] or known[id][1] != _hash(documents.get(id))
            ]
            versions = self._advance(entity, wanted, documents, building)
        gone = frozenset(id for id in wanted if id not in documents)
        return Prepared(entity, {id: documents[id] for id in wanted if id in documents}, gone, versions)

    def _advance(
        self, entity: str, ids: Sequence[UUID], documents: dict[UUID, Document], building: bool
    ) -> dict[UUID, int]:
        if not ids:
            return {}
        rows = self._connection.execute(
            "update search.document as document set version = nextval('search.version'), hash = given.hash,"
            " era = case when %s then -1 else coalesce((select era from search.standing as standing"
            " where standing.entity = document.entity), -1) end"
            " from unnest(%s::uuid[], %s::bigint[]) as given (id, hash)"
            " where document.entity = %s and document.id = given.id returning document.id, document.version",
            [building, list(ids), [_hash(documents.get(id)) for id in ids], entity],
        ).fetchall()
        self._connection.execute(
            "insert into search.writing (writer, entity, id, version)"
            " select %s, %s, given.id, given.version from unnest(%s::uuid[], %s::bigint[]) as given (id, version)"
            " on conflict (entity, id, writer) do update set version = excluded.version, since = clock_timestamp()",
            [self.writer, entity, [id for id, _ in rows], [version for _, version in rows]],
        )
        return dict(rows)

    def newest(self, prepared: Prepared) -> Prepared:
        """What nobody has overtaken so far."""
        rows = self._connection.execute(
            "select document.id from search.document as document"
            " inner join unnest(%s::uuid[], %s::bigint[]) as given (id, version)"
            " on document.id = given.id and document.version = given.version where document.entity = %s",
            [list(prepared.versions), list(prepared.versions.values()), prepared.entity],
        )
        return prepared.only({id for (id,) in rows})

    def confirm(self, prepared: Prepared) -> list[UUID]:
        """Ends the writing of what is still the newest; answers the documents that somebody has overtaken."""
        ids, versions = list(prepared.versions), list(prepared.versions.values())
        with self._connection.transaction():
            rows = self._connection.execute(
                "delete from search.writing as mine using search.document as document,"
                " unnest(%s::uuid[], %s::bigint[]) as given (id, version)"
                " where mine.writer = %s and mine.entity = %s and mine.id = given.id"
                " and document.entity = mine.entity and document.id = mine.id and document.version = given.version"
                " returning mine.id",
                [ids, versions, self.writer, prepared.entity],
            ).fetchall()
            self._connection.execute(
                "update search.standing set version = greatest(version, %s) where entity = %s",
                [max(versions, default=0), prepared.entity],
            )
            self._connection.execute(
                "delete from search.refused where entity = %s and id = any(%s::uuid[])", [prepared.entity, ids]
            )
        confirmed = {id for (id,) in rows}
        return [id for id in ids if id not in confirmed]

    def refuse(self, entity: str, id: UUID, error: str) -> None:
        """Sets a document aside that the engine does not take; it is tried again when its row changes."""
        with self._connection.transaction():
            self._connection.execute(
                "insert into search.refused (entity, id, error) values (%s, %s, %s)"
                " on conflict (entity, id) do update set error = excluded.error, refused_at = clock_timestamp()",
                [entity, id, error],
            )
            self._connection.execute(
                "delete from search.writing where writer = %s and entity = %s and id = %s", [self.writer, entity, id]
            )
            # What the index holds of it is not what the ledger says: never pass over it.
            self._connection.execute("update search.document set era = -1 where entity = %s and id = %s", [entity, id])

    def left_behind(self, limit: int) -> list[tuple[str, UUID]]:
        """Documents of other writers to be written anew now: for the first time, or again after their sleep."""
        return [
            (entity, id)
            for entity, id in self._connection.execute(
                "select distinct entity, id from search.writing where writer <> %s"
                " and (adopted_at is null or since < clock_timestamp() - %s::interval) order by 1, 2 limit %s",
                [self.writer, SLEEP, limit],
            )
        ]

    def adopt(self, entity: str, ids: Sequence[UUID]) -> None:
        """Notes that these were written anew; those whose writer has surely ended are forgotten."""
        with self._connection.transaction():
            self._connection.execute(
                "delete from search.writing where writer <> %s and entity = %s and id = any(%s::uuid[])"
                " and since < clock_timestamp() - %s::interval",
                [self.writer, entity, list(ids), SLEEP],
            )
            self._connection.execute(
                "update search.writing set adopted_at = clock_timestamp()"
                " where writer <> %s and entity = %s and id = any(%s::uuid[])",
                [self.writer, entity, list(ids)],
            )


def _hash(document: Document | None) -> int | None:
    return None if document is None else document.hash

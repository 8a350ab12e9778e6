"""Decides which streamed changes a snapshot has already read, after the plan's rule: a change is skipped if, and only
if, its transaction was visible in the snapshot of its key's chunk. Comparing LSNs instead would lose a change that
commits in the WAL before, but becomes visible after, a chunk is read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from cdc.events import ChangeEvent, Item, Relation, SchemaChange, Value
from cdc.snapshot_progress import SnapshotProgress, TableProgress, TransactionSnapshot

_Comparable = tuple[int | str, ...]

INT_OIDS: Final = frozenset({20, 21, 23, 26})
"""int8, int2, int4, oid"""
TEXT_OIDS: Final = frozenset({25, 1043, 2950})
"""text, varchar (both only under a byte-order collation) and uuid, whose text form sorts as the type does"""


def comparable(type_oid: int) -> Callable[[str], int | str]:
    """What makes a key's text compare in Python as PostgreSQL compares the key."""
    return int if type_oid in INT_OIDS else str


class _TableFilter:
    """One table's chunks, looked up by key. ``positions`` are the chunk columns' places in the relation."""

    def __init__(self, table: TableProgress, relation: Relation) -> None:
        self.snapshots: list[TransactionSnapshot] = [chunk.snapshot for chunk in table.chunks]
        names = relation.names
        # A key column that the relation lacks was renamed since, which restarts a table's snapshot: whatever comes
        # under the old name is older than every chunk, so that any chunk's snapshot gives the same answer.
        usable = all(name in names for name in table.chunk_columns)
        columns = [names.index(name) for name in table.chunk_columns] if usable else []
        self.positions = [(i, comparable(relation.columns[i].type_oid)) for i in columns]
        self.uppers: list[_Comparable] = []
        if usable:
            for chunk in table.chunks:
                if chunk.upper is not None:
                    made = zip(self.positions, chunk.upper, strict=True)
                    self.uppers.append(tuple(compare(text) for (_, compare), text in made))

    def has_seen(self, xid: int, image: Sequence[Value]) -> bool:
        key: list[int | str] = []
        for i, compare in self.positions:
            key.append(compare(_text(image[i])))
        place = bisect_left(self.uppers, tuple(key)) if self.uppers else 0
        return place < len(self.snapshots) and self.snapshots[place].has_seen(xid)


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a primary key's column is never NULL and always sent, but is {value!r}")
    return value


class SnapshotFilter:
    """Passes or drops the items of the stream that follow a finished snapshot, from its slot's first one on."""

    def __init__(self, progress: SnapshotProgress) -> None:
        if not progress.done:
            raise ValueError(f"the snapshot of {progress.source} is not finished")
        self._finished_lsn = progress.finished_lsn
        self._tables = {table.relid: table for table in progress.tables if table.chunks}
        self._filters: dict[int, tuple[Relation, _TableFilter]] = {}
        self._xmax = max((chunk.snapshot.xmax for table in progress.tables for chunk in table.chunks), default=0)

    @property
    def xmax(self) -> int:
        """Transactions from this id on are passed whole."""
        return self._xmax

    def is_over(self, commit_lsn: int) -> bool:
        """Whether no transaction that commits at ``commit_lsn`` or later can be affected: the filter may go."""
        return commit_lsn >= self._finished_lsn

    def apply(self, item: Item) -> Sequence[Item]:
        """What is left of ``item``: itself, nothing, or one half of a key update.

        An update that moves a row from a chunk that has seen it to one that has not becomes the insert of the new row,
        the other way round the delete of the old one. The new row's unchanged TOAST values can then be UNCHANGED only
        where the table's replica identity is not FULL.
        """
        if not isinstance(item, ChangeEvent | SchemaChange) or item.xid >= self._xmax:
            return (item,)
        relid = item.relid if isinstance(item, SchemaChange) else item.relation.relid
        table = self._tables.get(relid)
        if table is None:
            return (item,)
        if isinstance(item, SchemaChange) and item.polled:
            return (item,)  # the catalogue is ahead of the chunks and of the stream
        if isinstance(item, SchemaChange) or item.op == "t":
            # A table that is altered or truncated between two chunks is read anew: they all saw it, or none did.
            return () if table.chunks[0].snapshot.has_seen(item.xid) else (item,)
        return self._apply_to_row(item, self._filter(table, item.relation))

    def _filter(self, table: TableProgress, relation: Relation) -> _TableFilter:
        known = self._filters.get(relation.relid)
        if known is None or known[0] is not relation:
            known = self._filters[relation.relid] = (relation, _TableFilter(table, relation))
        return known[1]

    @staticmethod
    def _apply_to_row(item: ChangeEvent, chunks: _TableFilter) -> Sequence[Item]:
        before, after = item.before, item.after
        if after is None:
            assert before is not None
            return () if chunks.has_seen(item.xid, before) else (item,)
        new_seen = chunks.has_seen(item.xid, after)
        old_key = tuple(_text(before[i]) for i in item.relation.key_indexes) if before is not None else item.key
        if before is None or old_key == item.key:
            return () if new_seen else (item,)
        old_seen = chunks.has_seen(item.xid, before)
        if old_seen and new_seen:
            return ()
        if old_seen:
            return (replace(item, op="c", before=None),)
        if new_seen:
            return (replace(item, op="d", key=old_key, after=None),)
        return (item,)

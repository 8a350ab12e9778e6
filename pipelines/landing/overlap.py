"""Where a snapshot and the stream that follows it overlap: what the snapshot has read is taken out of the stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import overload

from cdc.events import Batch, ChangeEvent, Item, Transaction
from cdc.snapshot_filter import SnapshotFilter


def without_overlap(batch: Batch, overlap: SnapshotFilter) -> tuple[Batch, SnapshotFilter | None]:
    """(what is left of the batch, the filter for the next one; None once the stream is past the snapshot)."""
    transactions = [_rest(transaction, overlap, batch.spooled) for transaction in batch.transactions]
    changes = sum(1 for t in transactions for item in t.items if type(item) is ChangeEvent)
    rest = replace(batch, transactions=transactions, changes=changes)
    return rest, None if overlap.is_over(batch.position.lsn) else overlap


def _rest(transaction: Transaction, overlap: SnapshotFilter, spooled: bool) -> Transaction:
    items = FilteredItems(transaction.items, overlap)
    return replace(transaction, items=items if spooled else list(items))


class FilteredItems(Sequence[Item]):
    """Items that a filter passes, as often as asked, without holding them all."""

    def __init__(self, items: Sequence[Item], overlap: SnapshotFilter) -> None:
        self._items = items
        self._overlap = overlap

    def __iter__(self) -> Iterator[Item]:
        apply = self._overlap.apply
        for item in self._items:
            yield from apply(item)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return list(self)[index]
        for item in islice(self, index, None):
            return item
        raise IndexError(index)

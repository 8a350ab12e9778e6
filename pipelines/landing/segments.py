"""Cuts transactions into the pieces that are written at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from cdc.events import Item, SchemaChange, Transaction
from cdc.failpoints import reach

Segment = Sequence[tuple[Transaction, Sequence[Item]]]

SEGMENT_CHANGES: Final = 10_000
"""Items of a spooled transaction that are in memory at a time."""


def segments(transactions: list[Transaction]) -> Iterator[tuple[Segment, tuple[Transaction, SchemaChange] | None]]:
    """Cuts transactions where a schema change stands (it is given beside the items before it), and long ones by length.

    Transactions without schema changes come together, whatever their number; only one that is read from disk is cut
    by length, as it does not fit memory.
    """
    together: list[tuple[Transaction, list[Item]]] = []
    for transaction in transactions:
        items = iter(transaction.items)
        while part := list(islice(items, SEGMENT_CHANGES)):
            start = 0
            for place, item in enumerate(part):
                if type(item) is SchemaChange:
                    together.append((transaction, part[start:place]))
                    yield together, (transaction, item)
                    together = []
                    start = place + 1
            together.append((transaction, part[start:] if start else part))
            if len(part) == SEGMENT_CHANGES:
                yield together, None
                reach("spool.after_segment")
                together = []
    if together:
        yield together, None

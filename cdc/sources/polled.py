"""A slot whose database tells the stream nothing of schema changes: they are looked for in its catalogue instead.

It is looked at every few seconds, and at once when the stream describes a table otherwise than was known. What is found
is given in a batch of its own, once the stream has passed the moment of the look, so that every row of before has been
given by then. Until it comes, rows keep landing; where the stream's own description is the catalogue's, their columns
are followed at once, before the first row that has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import psycopg

from cdc import polling
from cdc.catalogue import SESSION_OPTIONS
from cdc.errors import SourceUnavailable
from cdc.events import Batch, ChangeEvent, Item, Relation, SchemaChange, Transaction
from cdc.polling import Description
from cdc.positions import Epoch, Position
from cdc.sources.slot import SlotSource

POLL_SECONDS: Final = 5.0
"""Between looks at the catalogue: 6 ms of the source's CPU for thirty tables."""

_HEADER: Final = 48
"""Bytes. What the server calls the end of WAL may lie a page's header and an alignment after the last record's end,
which is as far as the stream can come; the commit record of a schema change is longer than that."""

_REMEMBERED: Final = 2_000
"""Relations whose description was compared: the stream makes a new one now and then for every table."""


class PolledSource:
    """``open_slot`` makes the reader of the slot, given the primary keys that are known; ``known`` reads what is stored
    of the tables (relation id → description) and is asked at each start."""

    def __init__(
        self,
        dsn: str,
        publications: tuple[str, ...],
        open_slot: Callable[[Mapping[int, tuple[str, ...]]], SlotSource],
        known: Callable[[], Mapping[int, Description]],
    ) -> None:
        self._dsn = dsn
        self._publications = publications
        self._load = known
        self._keys: dict[int, tuple[str, ...]] = {}
        self._slot = open_slot(self._keys)
        self.name = self._slot.name
        self._known: dict[int, Description] = {}
        self._followed: dict[int, Description] = {}
        self._found: dict[int, SchemaChange] = {}
        self._compared: dict[int, Relation] = {}
        self._given: Position | None = None
        self._looked = 0.0
        self._catalogue: psycopg.Connection[Any] | None = None

    def start(self, stored: Position | None) -> None:
        """As ``SlotSource.start``."""
        self.close()
        self._known = dict(self._load())
        self._followed = dict(self._known)
        self._found.clear()
        self._keys.clear()
        self._keys.update((relid, tuple(known["key"])) for relid, known in self._known.items())
        self._looked = 0.0
        self._slot.start(stored)
        self._given = None if stored is None else replace(stored, epoch=self.epoch)

    @property
    def epoch(self) -> Epoch:
        return self._slot.epoch

    def read(self, max_changes: int, timeout: float) -> Batch | None:
        """As ``SlotSource.read``; a batch of schema changes alone has the position of the batch before it."""
        if time.monotonic() >= self._looked + POLL_SECONDS:
            self._look()
        found = self._passed()
        if found is not None:
            return found
        batch = self._slot.read(max_changes, timeout)
        if batch is not None:
            if not batch.spooled:
                batch = replace(batch, transactions=[self._compare(transaction) for transaction in batch.transactions])
            self._given = batch.position
        return batch

    def acknowledge(self, position: Position) -> None:
        self._slot.acknowledge(position)

    def close(self) -> None:
        self._slot.close()
        self._compared.clear()
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None

    def _look(self) -> Mapping[int, Description]:
        """Compares the catalogue with what is known; what was found before and still stands keeps its moment."""
        try:
            if self._catalogue is None:
                self._catalogue = psycopg.connect(
                    self._dsn, autocommit=True, options=SESSION_OPTIONS, fallback_application_name="headwater polling"
                )
            seen = polling.look(self._catalogue, self._publications, list(self._known))
        except psycopg.OperationalError as error:
            raise SourceUnavailable(self.name, error) from error
        self._looked = time.monotonic()
        found = polling.changes(self.name, self._known, seen)
        for relid, change in found.items():
            earlier = self._found.get(relid)
            if earlier is not None and (earlier.description, earlier.after) == (change.description, change.after):
                found[relid] = earlier
        self._found = found
        return seen.tables

    def _passed(self) -> Batch | None:
        """The changes whose moment the stream has passed, remembered from here on."""
        given = self._given
        if given is None:
            return None
        passed = [change for change in self._found.values() if given.lsn >= change.lsn - _HEADER]
        if not passed:
            return None
        for change in passed:
            del self._found[change.relid]
            if change.description is None:
                self._known.pop(change.relid, None)
                self._followed.pop(change.relid, None)
                self._keys.pop(change.relid, None)
            else:
                self._known[change.relid] = self._followed[change.relid] = change.description
                self._keys[change.relid] = change.key
                self._slot.learn_key(change.relid, change.key)
        return Batch(self.name, given, [], observed=tuple(passed))

    def _compare(self, transaction: Transaction) -> Transaction:
        """The transaction, with a schema change before each row whose table the stream describes in a new way."""
        followed: list[tuple[int, SchemaChange]] = []
        for place, item in enumerate(transaction.items):
            if type(item) is ChangeEvent and id(item.relation) not in self._compared:
                change = self._compare_relation(item)
                if change is not None:
                    followed.append((place, change))
        if not followed:
            return transaction
        items: list[Item] = list(transaction.items)
        for place, change in reversed(followed):
            items.insert(place, change)
        return replace(transaction, items=items)

    def _compare_relation(self, row: ChangeEvent) -> SchemaChange | None:
        relation = row.relation
        if len(self._compared) >= _REMEMBERED:
            self._compared.clear()
        self._compared[id(relation)] = relation  # holding it keeps its id from being given to another
        before = self._followed.get(relation.relid)
        if before is not None and polling.describes(before, relation):
            return None
        after = self._look().get(relation.relid)
        if after is None or not polling.describes(after, relation):
            return None  # the catalogue is further on; these rows land as the stream describes them
        self._followed[relation.relid] = after
        return polling.follow(self.name, relation.relid, before, after, row)

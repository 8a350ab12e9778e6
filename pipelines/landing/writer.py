"""Applies row changes to the mirrors: the last version of each key at once, or key by key around what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from cdc.events import UNCHANGED, ChangeEvent, Relation, Value
from pipelines.landing.compaction import Half, Key, TableChanges, Version, filled, halves, rekeyed
from pipelines.landing.errors import is_refusal
from pipelines.landing.mirrors import Connection, Mirrors, Plan
from pipelines.landing.parking import Parked
from pipelines.landing.segments import Segment


class MirrorWriter:
    """Writes segments of one batch inside its transaction.

    ``careful`` is the way after the warehouse refused something: every statement in a savepoint, halved until the
    refused keys are found; those are parked from their first refused change on, everything else is applied.
    ``read``: the changes are rows that were read from their tables.
    """

    def __init__(self, connection: Connection, mirrors: Mirrors, parked: Parked, *, careful: bool, read: bool) -> None:
        self._connection = connection
        self._raw = psycopg.RawCursor(connection)
        self._mirrors = mirrors
        self._parked = parked
        self._careful = careful
        self._read = read
        self._tables: dict[int, tuple[Plan, TableChanges] | None] = {}
        self._history: dict[tuple[int, Key], list[Half]] = {}

    def apply(self, segment: Segment) -> None:
        for transaction, items in segment:
            committed_at = transaction.committed_at
            for item in items:
                if type(item) is ChangeEvent:
                    self._add(item, committed_at)
        self._flush()

    def _add(self, event: ChangeEvent, committed_at: int) -> None:
        relation = event.relation
        target = self._tables.get(id(relation), self)
        if isinstance(target, MirrorWriter):
            target = self._start(relation)
        if target is None:
            return
        plan, changes = target
        if plan.relation is not relation:
            keyed = rekeyed(event, plan.relation)
            if keyed is None:
                own = halves(event, committed_at, lambda _: [UNCHANGED] * len(relation.columns))
                for half in own:
                    self._parked.park(half, f"the mirror's key is {', '.join(plan.mirror.key)}, which was not sent")
                return
            event, relation = keyed, plan.relation
        refused = self._parked.keys(relation)
        if event.op == "t":
            if self._careful:
                for key in changes.versions:
                    self._history[id(relation), key].append(_deletion(event, key, committed_at))
            changes.truncate(event, committed_at)
            for key in refused:
                self._parked.park(_deletion(event, key, committed_at), "follows a parked change of this key")
            return
        if not event.key:
            return
        if event.op in "cr" and event.after is not None and not refused and not self._careful:
            # A whole row with nothing before it to look after: all of a snapshot, which takes 5 % less time this way.
            changes.versions[event.key] = Version(event.after, event.lsn, event.seq, False, committed_at, False)
            return
        for half in halves(event, committed_at, lambda key: self._present_values(plan, changes, key)):
            if half.key in refused:
                self._parked.park(half, "follows a parked change of this key")
                continue
            if self._careful:
                self._history.setdefault((id(relation), half.key), []).append(half)
            changes.put(half.key, half.version)

    def _start(self, relation: Relation) -> tuple[Plan, TableChanges] | None:
        """Opens the changes of a relation. An older description of the same table is written first, to keep order."""
        for other in self._tables.values():
            if other is not None and other[1].relation.qualified_name == relation.qualified_name:
                self._flush()
                break
        plan = self._mirrors.plan(relation)
        target = None if plan is None else (plan, TableChanges(plan.relation))
        self._tables[id(relation)] = target
        return target

    def _present_values(self, plan: Plan, changes: TableChanges, key: Key) -> Sequence[Value]:
        """The old row of a key update whose new image is incomplete: from this batch where it was told, else stored."""
        every = range(len(plan.relation.columns))
        known = changes.versions.get(key)
        if known is not None and not known.partial:
            return known.values
        stored = plan.stored_values(self._connection, key, every)
        return stored if known is None else filled(known, stored).values

    def _flush(self) -> None:
        targets = [target for target in self._tables.values() if target is not None]
        if self._careful:
            for plan, changes in targets:
                self._write_carefully(plan, changes)
        elif targets:
            with self._connection.pipeline():
                for plan, changes in targets:
                    for truncation in changes.truncations:
                        plan.truncate(self._execute, truncation)
                    plan.write(self._execute, changes.versions.values(), read=self._read)
        self._tables.clear()
        self._history.clear()

    def _execute(self, statement: str, parameters: Sequence[str]) -> None:
        self._raw.execute(statement.encode(), parameters, prepare=True)

    def _write_carefully(self, plan: Plan, changes: TableChanges) -> None:
        for truncation in changes.truncations:
            plan.truncate(self._execute, truncation)
        self._write_around_refused(plan, list(changes.versions.items()))

    def _write_around_refused(self, plan: Plan, entries: list[tuple[Key, Version]]) -> None:
        if not entries:
            return
        try:
            with self._connection.transaction():
                plan.write(self._execute, [version for _, version in entries], read=self._read)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            if len(entries) > 1:
                middle = len(entries) // 2
                self._write_around_refused(plan, entries[:middle])
                self._write_around_refused(plan, entries[middle:])
            else:
                self._park_from_first_refused(plan, entries[0][0], error)

    def _park_from_first_refused(self, plan: Plan, key: Key, last_error: psycopg.Error) -> None:
        steps = self._history.get((id(plan.relation), key), [])
        reason: str | None = None
        for place, half in enumerate(steps):
            if reason is None:
                final = place == len(steps) - 1
                try:
                    if not final:
                        with self._connection.transaction():
                            plan.write(self._execute, [half.version], read=self._read)
                        continue
                    reason = _words(last_error)
                except psycopg.Error as error:
                    if not is_refusal(error):
                        raise
                    reason = _words(error)
                self._parked.park(half, reason)
            else:
                self._parked.park(half, "follows a parked change of this key")


def _deletion(event: ChangeEvent, key: Key, committed_at: int) -> Half:
    """What a truncation does to one key."""
    relation = event.relation
    values: list[Any] = [None] * len(relation.columns)
    for place, value in zip(relation.key_indexes, key, strict=True):
        values[place] = value
    return Half(event, "d", key, Version(values, event.lsn, event.seq, True, committed_at, False))


def _words(error: psycopg.Error) -> str:
    return f"{error.sqlstate}: {str(error).strip()}"

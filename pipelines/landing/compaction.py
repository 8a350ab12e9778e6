"""Reduces the changes of one table in a batch to the last version of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from cdc.events import UNCHANGED, ChangeEvent, Relation, Unchanged, Value

Key = tuple[str | None, ...]

StoredValues = Callable[[Relation, Key, Sequence[int]], Sequence[Value]]
"""(relation, key, column indexes) → what the mirror has now; UNCHANGED in each place if it has no such row."""


@dataclass(slots=True)
class Version:
    """A row as of one change; ``values`` are aligned with the relation's columns, UNCHANGED where nobody sent them."""

    values: Sequence[Value]
    lsn: int
    seq: int
    deleted: bool
    committed_at: int
    partial: bool


@dataclass(slots=True)
class Truncation:
    lsn: int
    seq: int
    committed_at: int


@dataclass(slots=True)
class Half:
    """What a change does to one key. A key update has two halves: the old key's deletion and the new key's version."""

    event: ChangeEvent
    op: Literal["c", "u", "d", "r"]
    key: Key
    version: Version


@dataclass(slots=True)
class TableChanges:
    """The last version of each key that the changes of one relation leave, and the truncations among them."""

    relation: Relation
    versions: dict[Key, Version] = field(default_factory=dict)
    truncations: list[Truncation] = field(default_factory=list)

    def truncate(self, event: ChangeEvent, committed_at: int) -> None:
        self.truncations.append(Truncation(event.lsn, event.seq, committed_at))
        for key, version in self.versions.items():
            self.versions[key] = Version(version.values, event.lsn, event.seq, True, committed_at, version.partial)

    def put(self, key: Key, version: Version) -> None:
        """Later changes win; a value that the later one does not know stays what the earlier one said."""
        if version.partial and (earlier := self.versions.get(key)) is not None:
            version = filled(version, earlier.values)
        self.versions[key] = version


def filled(version: Version, values: Sequence[Value]) -> Version:
    """``version`` with its UNCHANGED places taken from ``values``."""
    merged = [old if new is UNCHANGED else new for new, old in zip(version.values, values, strict=True)]
    return Version(
        merged, version.lsn, version.seq, version.deleted, version.committed_at, Unchanged in map(type, merged)
    )


def rekeyed(event: ChangeEvent, relation: Relation) -> ChangeEvent | None:
    """``event`` under ``relation``, the same columns with another key; None where its images lack a value of that."""
    image = event.after if event.after is not None else event.before
    if image is None:
        return replace(event, relation=relation)
    key = tuple([image[i] for i in relation.key_indexes])
    return None if UNCHANGED in key else replace(event, relation=relation, key=key)  # type: ignore[arg-type]


def halves(event: ChangeEvent, committed_at: int, known: Callable[[Key], Sequence[Value]]) -> list[Half]:
    """What ``event`` (no truncation) does, key by key.

    ``known`` gives the present values of the old key's row; it is asked only if a key update left values UNCHANGED.
    """
    relation = event.relation
    lsn, seq, key = event.lsn, event.seq, event.key
    after = event.after
    if after is None:
        before = event.before
        if before is None:
            before = [UNCHANGED] * len(relation.columns)
            for place, value in zip(relation.key_indexes, key, strict=True):
                before[place] = value
        return [Half(event, "d", key, Version(before, lsn, seq, True, committed_at, Unchanged in map(type, before)))]
    version = Version(after, lsn, seq, False, committed_at, Unchanged in map(type, after))
    old_key = _old_key(event)
    if old_key is None:
        return [Half(event, event.op if event.op != "d" else "u", key, version)]  # type: ignore[arg-type]
    if version.partial:
        version = filled(version, known(old_key))
    before = event.before
    assert before is not None
    gone = Version(before, lsn, seq, True, committed_at, Unchanged in map(type, before))
    return [Half(event, "d", old_key, gone), Half(event, "u", key, version)]


def _old_key(event: ChangeEvent) -> Key | None:
    """The key before an update that changed it, else None."""
    before = event.before
    if before is None or event.op != "u":
        return None
    indexes = event.relation.key_indexes
    if len(indexes) == 1:
        old = before[indexes[0]]
        return None if old == event.key[0] or old is UNCHANGED else (old,)
    old_key = tuple([before[i] for i in indexes])
    if old_key == event.key or UNCHANGED in old_key:
        return None
    return old_key  # type: ignore[return-value]

"""What is known of a source's tables: as they are, and what their columns were called at any moment before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cdc.catalogue import TableDefinition, parse_description
from cdc.events import SchemaChange

_END: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class FormerColumns:
    """A schema change of the table ``relid`` at ``lsn``; ``before`` maps the names until then to attribute numbers."""

    relid: int
    lsn: int
    before: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Era:
    """The time between two schema changes of a table, and what a column's name of that time is called now.

    A name that maps to None is taken by another column now, whose values are not these.
    """

    since: int
    until: int
    now_called: Mapping[str, str | None]


class Tables:
    """The latest description of each table, found by any name that it has had while it was watched.

    ``former`` are its schema changes, in the order of their LSNs: a table is locked while it changes, so a row's LSN
    says on which side of a change it was written.
    """

    def __init__(self, descriptions: Mapping[int, Mapping[str, Any]], former: Iterable[FormerColumns] = ()) -> None:
        self._by_relid = {relid: parse_description(relid, found) for relid, found in descriptions.items()}
        self._names = {(t.schema, t.table): relid for relid, t in self._by_relid.items()}
        self._former: dict[int, list[FormerColumns]] = {}
        for change in former:
            self._former.setdefault(change.relid, []).append(change)

    def find(self, schema: str, table: str) -> TableDefinition | None:
        relid = self._names.get((schema, table))
        return None if relid is None else self._by_relid.get(relid)

    def era(self, relid: int, lsn: int) -> Era:
        """The one that ``lsn`` lies in."""
        former = self._former.get(relid, [])
        place = bisect_right(former, lsn, key=lambda change: change.lsn)
        since = former[place - 1].lsn if place else 0
        if place == len(former):
            return Era(since, _END, {})
        now = {column.attnum: column.name for column in self._by_relid[relid].columns}
        names: dict[str, str | None] = {}
        for name, attnum in former[place].before.items():
            # A column that is gone keeps its place in the mirror, unless another has its name now.
            names[name] = now.get(attnum, None if name in now.values() else name)
        return Era(since, former[place].lsn, names)

    def learn(self, change: SchemaChange) -> None:
        """From now on the table is what ``change`` says. A dropped table keeps its description, for rows of before."""
        if change.before is not None:
            before = {column.name: column.attnum for column in change.before}
            self._former.setdefault(change.relid, []).append(FormerColumns(change.relid, change.lsn, before))
        if change.description is not None:
            found = parse_description(change.relid, change.description)
            self._by_relid[change.relid] = found
            self._names[found.schema, found.table] = change.relid

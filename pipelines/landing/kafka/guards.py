"""Rows that were written before a truncation or a rewrite of their table, and are landed after it.

They come in other partitions than the truncation, or in another topic than the schema change. The table was locked for
it, so the LSN says which side a row is from (docs/decisions/0061).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cdc.events import ChangeEvent, Item, Transaction
from cdc.positions import format_lsn, parse_lsn
from pipelines.landing.mirrors import Connection, Mirrors
from pipelines.landing.parking import Parked
from pipelines.landing.segments import Segment
from pipelines.landing.text import timestamp_text
from pipelines.landing.writer import MirrorWriter


@dataclass(frozen=True, slots=True)
class Guard:
    """``kind``: rows from before (``lsn``, ``seq``) are gone by a ``truncate``, or brought anew by a ``reread``."""

    kind: str
    lsn: int
    seq: int


class Guards:
    """The guards of one source, as of the present transaction."""

    def __init__(self, connection: Connection, source: str) -> None:
        self._connection = connection
        self._source = source
        self._known: dict[int, list[Guard]] = {}
        rows = connection.execute("select relid, kind, lsn::text, seq from log.kafka_guard where source = %s", [source])
        for relid, kind, lsn, seq in rows:
            self._known.setdefault(relid, []).append(Guard(kind, parse_lsn(lsn), seq))

    def __bool__(self) -> bool:
        return bool(self._known)

    def of(self, event: ChangeEvent) -> Guard | None:
        """The furthest guard that the event lies before."""
        place = (event.lsn, event.seq)
        passed = [g for g in self._known.get(event.relation.relid, ()) if place < (g.lsn, g.seq)]
        return max(passed, key=lambda g: (g.lsn, g.seq), default=None)

    def add(self, relid: int, kind: str, lsn: int, seq: int, committed_at: int) -> None:
        known = self._known.setdefault(relid, [])
        if any(g.kind == kind and (g.lsn, g.seq) >= (lsn, seq) for g in known):
            return
        self._known[relid] = [*(g for g in known if g.kind != kind), Guard(kind, lsn, seq)]
        self._connection.execute(
            """
            insert into log.kafka_guard as g (source, relid, kind, lsn, seq, committed_at)
            values (%s, %s, %s, %s, %s, %s)
            on conflict (source, relid, kind) do update
            set lsn = excluded.lsn, seq = excluded.seq, committed_at = excluded.committed_at
            where (g.lsn, g.seq) < (excluded.lsn, excluded.seq)
            """,
            [self._source, relid, kind, format_lsn(lsn), seq, timestamp_text(committed_at)],
        )


class GuardedWriter(MirrorWriter):
    """Writes mirrors past their guards. The change log has every change as it was.

    ``late``: changes may be older than what the mirror has of their rows, which then stays.
    """

    def __init__(
        self,
        connection: Connection,
        mirrors: Mirrors,
        parked: Parked,
        guards: Guards,
        *,
        careful: bool,
        late: bool = False,
    ) -> None:
        super().__init__(connection, mirrors, parked, careful=careful, read=late)
        self._guards = guards

    def apply(self, segment: Segment) -> None:
        super().apply([(transaction, self._passed(transaction, items)) for transaction, items in segment])

    def _passed(self, transaction: Transaction, items: Sequence[Item]) -> Sequence[Item]:
        guards = self._guards
        passed: list[Item] = []
        for item in items:
            if type(item) is ChangeEvent:
                if item.op == "t":
                    guards.add(item.relation.relid, "truncate", item.lsn, item.seq, transaction.committed_at)
                elif guards and item.after is not None and (guard := guards.of(item)) is not None:
                    if guard.kind == "truncate":
                        gone = replace(item, op="d", before=item.after, after=None, lsn=guard.lsn, seq=guard.seq)
                        passed.append(gone)
                    continue
            passed.append(item)
        return passed

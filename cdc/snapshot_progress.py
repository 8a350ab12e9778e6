"""How far a snapshot has come, as values that are stored beside the rows and read back after a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

KeyText = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TransactionSnapshot:
    """Which transactions a chunk has seen. ``text`` is pg_snapshot's form ``xmin:xmax:xip,xip``, ids 64 bits wide."""

    text: str
    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> TransactionSnapshot:
        xmin, xmax, running = text.split(":")
        return cls(text, int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def has_seen(self, xid: int) -> bool:
        """Whether the committed transaction ``xid`` was visible."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A key range that was read: keys above ``lower`` up to and including ``upper``; None is an open end."""

    lower: KeyText | None
    upper: KeyText | None
    snapshot: TransactionSnapshot
    rows: int


@dataclass(frozen=True, slots=True)
class TableProgress:
    """One table's chunks so far, in key order. ``shape`` is that of the definition they were read with;
    ``chunk_columns`` are the leading key columns that ranges are cut by (none: one chunk is the whole table)."""

    relid: int
    name: str
    shape: str = ""
    chunk_columns: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotProgress:
    """All tables of one source's snapshot; ``finished_lsn`` is the end of WAL when its latest chunk's was taken."""

    source: str
    tables: tuple[TableProgress, ...]
    finished_lsn: int = 0

    @property
    def done(self) -> bool:
        return all(table.done for table in self.tables)

    def with_table(self, table: TableProgress) -> SnapshotProgress:
        tables = tuple(table if known.relid == table.relid else known for known in self.tables)
        return replace(self, tables=tables)

    def to_json(self) -> str:
        content = asdict(self)
        for table in content["tables"]:
            for chunk in table["chunks"]:
                chunk["snapshot"] = chunk["snapshot"]["text"]
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> SnapshotProgress:
        content: dict[str, Any] = json.loads(text)
        tables = tuple(
            TableProgress(
                relid=table["relid"],
                name=table["name"],
                shape=table["shape"],
                chunk_columns=tuple(table["chunk_columns"]),
                chunks=tuple(
                    Chunk(
                        lower=_key(chunk["lower"]),
                        upper=_key(chunk["upper"]),
                        snapshot=TransactionSnapshot.parse(chunk["snapshot"]),
                        rows=chunk["rows"],
                    )
                    for chunk in table["chunks"]
                ),
                done=table["done"],
            )
            for table in content["tables"]
        )
        return cls(content["source"], tables, content["finished_lsn"])


def _key(values: Sequence[str] | None) -> KeyText | None:
    return tuple(values) if values is not None else None

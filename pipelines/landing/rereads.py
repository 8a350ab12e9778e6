"""Tables that are read again beside the stream, one after the other, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cdc.snapshot import SnapshotChunk, read_chunks
from cdc.snapshot_progress import SnapshotProgress, TableProgress
from pipelines.landing.snapshots import Snapshot

CHUNK_BYTES: Final = 1 << 20
"""COPY text a chunk: small, because the stream waits while it is stored."""


class Rereads:
    """The re-reads that are not finished, of the source ``source`` at ``dsn``."""

    def __init__(self, source: str, dsn: str, pending: Sequence[Snapshot]) -> None:
        self._source = source
        self._dsn = dsn
        self._pending = list(pending)
        self._chunks: Iterator[SnapshotChunk] | None = None

    @property
    def pending(self) -> bool:
        while self._pending and self._pending[0].finished:
            self._pending.pop(0)
            self._chunks = None
        return bool(self._pending)

    def replace(self, pending: Sequence[Snapshot]) -> None:
        """After schema changes: what is read on was asked for, or is still wanted, by the latest of them."""
        self._pending = list(pending)
        self._chunks = None

    def next(self) -> tuple[Snapshot, SnapshotChunk]:
        """The next chunk of the first pending table. Raises psycopg.Error: begin again from what is stored."""
        snapshot = self._pending[0]
        if self._chunks is None:
            # The name is looked up by relid: the table may have been renamed since the stream spoke of it.
            progress = snapshot.progress or SnapshotProgress(self._source, (TableProgress(snapshot.relid, ""),))
            self._chunks = read_chunks(self._dsn, progress, chunk_bytes=CHUNK_BYTES)
        return snapshot, next(self._chunks)

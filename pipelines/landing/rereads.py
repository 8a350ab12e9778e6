"""Tables that are read again beside the stream, one after the other, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from cdc.snapshot import SnapshotChunk, read_chunks
from cdc.snapshot_progress import SnapshotProgress, TableProgress
from cdc.writers import Writers
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
        self._writers: Writers | None = None
        self._catalogue: psycopg.Connection[Any] | None = None

    @property
    def pending(self) -> bool:
        while self._pending and self._pending[0].finished:
            self._pending.pop(0)
            self._begin_anew()
        return bool(self._pending)

    @property
    def ready(self) -> bool:
        """Whether ``next`` has something to read: not while those whom the first pending table waits for still write.

        Raises psycopg.Error.
        """
        if not self.pending:
            return False
        first = self._pending[0]
        if self._chunks is not None or not first.after_writers:
            return True
        if self._writers is None:
            self._catalogue = psycopg.connect(self._dsn, autocommit=True, fallback_application_name="headwater")
            self._writers = Writers(self._catalogue, first.relid)
        return self._writers.have_ended()

    def close(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._chunks = self._writers = None
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None

    def replace(self, pending: Sequence[Snapshot]) -> None:
        """After schema changes: what is read on was asked for, or is still wanted, by the latest of them."""
        self._pending = list(pending)
        self._begin_anew()

    def next(self) -> tuple[Snapshot, SnapshotChunk]:
        """The next chunk of the first pending table, if ``ready``. Raises psycopg.Error: go on from what is stored."""
        snapshot = self._pending[0]
        if self._chunks is None:
            # The name is looked up by relid: the table may have been renamed since the stream spoke of it.
            progress = snapshot.progress or SnapshotProgress(self._source, (TableProgress(snapshot.relid, ""),))
            self._chunks = read_chunks(self._dsn, progress, chunk_bytes=CHUNK_BYTES)
        return snapshot, next(self._chunks)

"""The contract every sink fulfils; ``tests/pipelines/landing/sink_contract.py`` is the suite a new sink must pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

from cdc.events import Batch
from cdc.positions import Position
from cdc.snapshot import SnapshotChunk
from cdc.snapshot_progress import SnapshotProgress
from pipelines.landing.snapshots import Snapshot

Purpose = Literal["initial", "repair", "restore"]
"""restore: the source was restored to exactly the stored position, so that nothing need be read again."""
State = Literal["snapshot", "streaming", "waiting", "stopped"]
"""waiting: an outage that ends by itself; stopped: somebody has to repair something."""

Mode = Literal["trigger", "polling"]
"""How schema changes are found: the source's event trigger tells the stream, or its catalogue is polled."""


class Stored(NamedTuple):
    """What was new in a batch."""

    changes: int
    schema_changes: int


class Sink(Protocol):
    """Stores one source's batches durably, each exactly once however often it is delivered.

    One process at a time holds a source's sink. Every method may raise SinkUnavailable: nothing of the call was
    stored, or all of it was; ``open`` again tells which.
    """

    def open(self) -> Position | None:
        """Takes the source for this process and gives its stored position; None if it was never landed.

        Raises SourceTaken if another process holds it. Open again after any error.
        """

    def begin_epoch(self, position: Position, purpose: Purpose, snapshot: SnapshotProgress | None) -> None:
        """Starts a new history at ``position``: what is stored next follows it. Needed once before the first batch.

        ``snapshot`` is what must be read, chunk by chunk, before the stream goes on from there.
        """

    def follow(self, timeline: int) -> None:
        """The present epoch goes on in this timeline of the same cluster: its batches are what comes next."""

    def snapshots(self) -> list[Snapshot]:
        """The epoch's snapshot, and the tables that schema changes ask to be read again, as far as each has come."""

    def store_chunk(self, snapshot: Snapshot, chunk: SnapshotChunk) -> int:
        """Stores a chunk's rows and progress, or nothing; returns the number of rows. Updates ``snapshot``."""

    def store(self, batch: Batch) -> Stored:
        """Stores all of ``batch`` and its position, or nothing.

        Transactions at or before the stored position are skipped, ``batch.observed`` never. Raises EpochMismatch for
        a batch of another epoch.
        """

    def known_tables(self) -> dict[int, Mapping[str, Any]]:
        """Relation id → the description that a schema change, or ``remember``, gave last."""

    def remember(self, tables: Mapping[int, Mapping[str, Any]]) -> None:
        """What ``known_tables`` gives from now on."""

    def set_state(self, state: State, error: str | None, schema_changes: Mode | None = None) -> None:
        """Says, where readers of the sink look, what landing does with the source; nothing if the sink is not open.

        ``schema_changes`` stays what it was where it is not given.
        """

    def close(self) -> None:
        """Gives the source up."""

"""The contract every sink fulfils; ``tests/pipelines/landing/sink_contract.py`` is the suite a new sink must pass."""

from __future__ import annotations

from typing import Protocol

from cdc.events import Batch
from cdc.positions import Position


class Sink(Protocol):
    """Stores one source's batches durably, each exactly once however often it is delivered.

    One process at a time holds a source's sink. Every method may raise SinkUnavailable: nothing of the call was
    stored, or all of it was; ``open`` again tells which.
    """

    def open(self) -> Position | None:
        """Takes the source for this process and gives its stored position; None if it was never landed.

        Raises SourceTaken if another process holds it. Open again after any error.
        """

    def begin_epoch(self, position: Position, reason: str) -> None:
        """Starts a new history at ``position``: what is stored next follows it. Needed once before the first batch."""

    def store(self, batch: Batch) -> int:
        """Stores all of ``batch`` and its position, or nothing; returns the number of row changes that were new.

        Transactions at or before the stored position are skipped. Raises EpochMismatch for a batch of another epoch.
        """

    def close(self) -> None:
        """Gives the source up."""

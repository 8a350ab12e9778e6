"""The contract every source fulfils; ``tests/cdc/source_contract.py`` is the suite a new source must pass."""

from __future__ import annotations

from typing import Protocol

from cdc.events import Batch
from cdc.positions import Epoch, Position


class Source(Protocol):
    """Reads one database's committed changes, at least once from the acknowledged position, in commit order."""

    name: str

    @property
    def epoch(self) -> Epoch:
        """The epoch of the positions it gives, once started: the stored one's, or one whose WAL goes on from there (a
        standby was promoted), and then it is the consumer's to store."""

    def start(self, stored: Position | None) -> None:
        """Begin after ``stored`` (the consumer's durable position), or at the slot's own start if None.

        May be called again after any error. Raises SlotMissing, SlotGap (the slot has moved past ``stored``, or
        ``stored`` is unknown to it) or EpochMismatch, each naming the gap and the command that repairs it;
        SourceUnavailable when the database does not answer.
        """

    def read(self, max_changes: int, timeout: float) -> Batch | None:
        """What has arrived: whole transactions up to about ``max_changes`` row changes; None after ``timeout`` seconds.

        Raises SourceUnavailable when the connection breaks: call ``start`` again with the stored position.
        """

    def acknowledge(self, position: Position) -> None:
        """Let the source forget everything up to ``position``. Call only after it was stored."""

    def close(self) -> None: ...

"""Errors of dispatch: what happened, to which source, and what to do."""

from __future__ import annotations

from cdc.positions import Position, format_lsn


class DispatchError(Exception):
    """Base of dispatch's own errors; a source's are ``cdc.errors.StreamError``."""


class Superseded(DispatchError):
    """A later position is stored: another process dispatches this source, and this one must begin again from there."""

    def __init__(self, position: Position) -> None:
        super().__init__(
            f"Source {position.source}: another dispatch process has stored a position after "
            f"{format_lsn(position.lsn)}; this one gives way. Run one `headwater work dispatch` only."
        )
        self.position = position


class PartitionLost(DispatchError):
    """Another process has taken the partition over; what this one read of it is not stored."""

    def __init__(self, source: str, topic: str, partition: int) -> None:
        super().__init__(
            f"Source {source}: another process dispatches {topic}[{partition}] by now. Nothing is lost: it reads on "
            "where this one last stored."
        )
        self.source = source


class RepairUnfinished(DispatchError):
    """A repair of dispatch was cut short: outbox rows may be without deliveries until it has ended."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"Source {source}: a repair of dispatch has begun and not ended, so events may be missing. Run "
            f"`headwater repair {source}` again, which reads them from the outboxes."
        )
        self.source = source

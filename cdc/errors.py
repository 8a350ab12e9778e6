"""Errors of the stream: what happened, to which source or table, and the command that repairs it."""

from __future__ import annotations


class StreamError(Exception):
    """Base of every error that a source raises."""


class EpochMismatch(StreamError):
    """The stored position belongs to another cluster, timeline or slot than the one found."""

    def __init__(self, source: str, *, stored: object, found: object) -> None:
        super().__init__(
            f"Source {source}: stored position is of {stored}, but the database is {found}; changes between them "
            f"cannot be known to be complete. Run `headwater repair {source}` to re-snapshot."
        )
        self.source = source

"""Errors of landing: what happened, to which source, and what to do."""

from __future__ import annotations

import psycopg

from cdc.errors import SlotBlocked, SlotInUse, SourceUnavailable, SpoolError


class LandingError(Exception):
    """Base of every error that landing raises."""


class SourceTaken(LandingError):
    """Another process lands this source."""

    def __init__(self, source: str, *, holder: str) -> None:
        super().__init__(
            f"Source {source} is being landed by another process ({holder}). Only one may land a source at a time, "
            "so this one waits. Stop the other one, or leave the source to it."
        )
        self.source = source


class PartitionLost(LandingError):
    """Another process has taken the partition over; what this one read of it is not stored."""

    def __init__(self, source: str, topic: str, partition: int) -> None:
        super().__init__(
            f"Source {source}: another process lands {topic}[{partition}] by now. Nothing is lost: it reads on where "
            "this one last stored."
        )
        self.source = source


class NotYetLoaded(LandingError):
    """The source's tables are being read for the first time, or after a repair."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"Source {source} is still being read for the first time. Nothing was changed; try again once "
            "`headwater status` says that landing of it streams."
        )
        self.source = source


class ResidentOnly(LandingError):
    """The source is landed over Kafka, by resident workers alone."""

    def __init__(self, source: str) -> None:
        super().__init__(f"Source {source} is landed over Kafka: leave it to `headwater work landing`, which stays.")
        self.source = source


class TablesChanged(LandingError):
    """A schema change was landed by another process after this batch was read; it must be read again."""

    def __init__(self, source: str) -> None:
        super().__init__(f"Source {source}: tables have changed while a batch was on its way; it is read again.")
        self.source = source


class SinkUnavailable(LandingError):
    """The warehouse does not answer, or has no room. Nothing is lost: the source keeps what was not acknowledged."""

    def __init__(self, source: str, cause: psycopg.Error) -> None:
        state = f" [{cause.sqlstate}]" if cause.sqlstate else ""
        super().__init__(
            f"Source {source}: the warehouse cannot store{state}: {str(cause).strip() or type(cause).__name__}. "
            "Landing tries again; the source keeps everything that is not yet stored."
        )
        self.source = source
        self.sqlstate = cause.sqlstate


class MirrorTaken(LandingError):
    """Two sources have a table of the same name; each would write over the other's rows."""

    def __init__(self, source: str, schema: str, table: str, *, owner: str) -> None:
        super().__init__(
            f"Source {source}: the mirror of {schema}.{table} belongs to source {owner}. Drop the table there, or "
            f"take it out of {source}'s publication; landing then goes on by itself."
        )
        self.source = source


def is_outage(error: Exception) -> bool:
    """Whether waiting helps, as opposed to somebody having to repair something."""
    if isinstance(error, psycopg.Error):
        return not is_refusal(error)
    return isinstance(
        error,
        SourceUnavailable
        | SlotInUse
        | SlotBlocked
        | SpoolError
        | SourceTaken
        | SinkUnavailable
        | PartitionLost
        | TablesChanged,
    )


def is_refusal(error: psycopg.Error) -> bool:
    """Whether the warehouse refused a value or a statement, as opposed to being unable to work at this moment.

    Class 54 (a limit of PostgreSQL itself, such as a key too long for an index) counts as refusal: it will not pass.
    """
    return not isinstance(error, psycopg.OperationalError) or (error.sqlstate or "").startswith("54")

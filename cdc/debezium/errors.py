"""What can be wrong with a record from Debezium."""

from __future__ import annotations

from typing import Final

from cdc.errors import StreamError


class EnvelopeError(StreamError):
    """The record is no envelope of Debezium's, or the connector that wrote it lacks a setting that ours has."""


class NewShape(StreamError):
    """A table's rows come in a shape that was not met since its last known schema change.

    Once every schema change that was committed before the row is known, ``EnvelopeDecoder.accept(shape)`` lets the
    record, and all others like it, be decoded.
    """

    def __init__(self, shape: bytes, schema: str, table: str, *, lsn: int) -> None:
        super().__init__(f"{schema}.{table}: rows in a shape that no known schema change explains yet")
        self.shape = shape
        self.schema = schema
        self.table = table
        self.lsn = lsn


class TableUnknown(EnvelopeError):
    """Nothing described the table, though everything before the row is known."""

    def __init__(self, schema: str, table: str) -> None:
        super().__init__(
            f"{schema}.{table}: the stream carries rows of a table that was never described. Is the schema-change "
            "trigger installed (`headwater doctor`), and the table in the publication?"
        )


UNREADABLE: Final = (EnvelopeError, ValueError, KeyError, TypeError, RecursionError, IndexError)
"""What decoding bytes that are no envelope can raise."""


def words(error: Exception) -> str:
    """Why a record is unreadable, for people."""
    return str(error) if isinstance(error, EnvelopeError) else f"{type(error).__name__}: {error}"

"""What a source yields: batches of whole transactions made of row changes, messages and schema changes.

Values are PostgreSQL's text output form (lossless for every type); ``None`` is SQL NULL and
``UNCHANGED`` is a TOASTed value that the write-ahead log did not carry.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cdc.positions import Position
from cdc.types import TypeShape


class Unchanged(enum.Enum):
    """The third state of a column value beside text and NULL."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged.UNCHANGED
Value = str | None | Literal[Unchanged.UNCHANGED]
Op = Literal["c", "u", "d", "t", "r"]
"""Debezium's letters: create, update, delete, truncate, read (snapshot)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a relation as the stream describes it."""

    name: str
    type_oid: int
    type_modifier: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A source table at one moment of the stream. ``columns`` are in attribute order."""

    relid: int
    schema: str
    table: str
    replica_identity: str  # d, n, f or i
    columns: tuple[Column, ...]
    names: tuple[str, ...] = field(init=False)
    key_indexes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(c.name for c in self.columns))
        object.__setattr__(self, "key_indexes", tuple(i for i, c in enumerate(self.columns) if c.is_key))

    @property
    def qualified_name(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(slots=True)
class ChangeEvent:
    """One row change.

    ``lsn`` is the change's own WAL position, ``seq`` its order among the row changes of its
    transaction (from 0); (``lsn``, ``seq``) orders the versions of one row. ``xid`` is 64 bits wide (epoch included).
    ``before``/``after`` are aligned with ``relation.columns``; ``before`` is None where the source sent no old image.
    An old image of the key alone (replica identity default) has UNCHANGED in every other place.
    ``key`` is the row's primary key after the change (before it for a delete); a key update is ONE event
    whose ``before`` holds the old key. A truncate has neither image and an empty key; so has the key of a table
    that had no primary key at that moment.
    """

    source: str
    xid: int
    lsn: int
    seq: int
    op: Op
    relation: Relation
    key: tuple[str | None, ...]
    before: Sequence[Value] | None
    after: Sequence[Value] | None


@dataclass(slots=True)
class Message:
    """A logical decoding message; ``seq`` is that of the row change that follows it."""

    source: str
    xid: int
    lsn: int
    seq: int
    prefix: str
    content: bytes
    transactional: bool


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """One column in a schema change: ``type_name`` is ``format_type(atttypid, atttypmod)`` of the base type.

    ``type_oid`` is the column's own (a domain's, where it has one); ``shape`` says how its values land.
    """

    attnum: int
    name: str
    type_name: str
    type_oid: int
    not_null: bool
    default: str | None
    shape: TypeShape | None = None

    @property
    def warehouse_type(self) -> str:
        """The type to give this column in the warehouse; ``shape.converter()`` gives its values the form for it."""
        return self.shape.name if self.shape is not None else self.type_name


@dataclass(slots=True)
class SchemaChange:
    """An ordered, versioned fact of the stream: one table's columns before and after a DDL command.

    ``before`` is None for a new table, ``after`` is None for a dropped one. ``rewrites`` is true where
    existing rows changed without row events (retype with USING, add column with default): the table must be re-read.
    ``description`` is what ``sql/describe.sql`` says of the table from now on, to be kept as what is known of it; None
    where the table is gone from the stream, or where another change that says so follows.
    ``polled``: found in the catalogue (``cdc.polling``). Its ``lsn`` is then a position after the change, not its own.
    """

    source: str
    xid: int
    lsn: int
    seq: int
    relid: int
    schema: str
    table: str
    command: str
    before: tuple[ColumnDefinition, ...] | None
    after: tuple[ColumnDefinition, ...] | None
    key: tuple[str, ...]
    rewrites: bool
    description: Mapping[str, Any] | None = None
    polled: bool = False


Item = ChangeEvent | Message | SchemaChange


@dataclass(slots=True)
class Transaction:
    """One committed transaction: its items in order. ``committed_at`` is microseconds since the Unix epoch, UTC."""

    source: str
    xid: int
    commit_lsn: int
    end_lsn: int
    committed_at: int
    items: Sequence[Item]


@dataclass(slots=True)
class Batch:
    """Whole transactions in commit order, and the position that holds once they are stored.

    An empty ``transactions`` with a newer ``position`` is a keepalive: the source is idle but its WAL moved on.
    ``changes`` counts row changes. ``spooled`` marks one large transaction whose items are read from disk:
    it comes alone, and its ``items`` is a re-iterable sequence rather than a list in memory.
    ``observed`` are schema changes that were found outside the stream. They come alone, hold from ``position`` on
    although that may be stored already, and mean the same if they come again.
    """

    source: str
    position: Position
    transactions: list[Transaction]
    changes: int = 0
    spooled: bool = False
    observed: tuple[SchemaChange, ...] = ()

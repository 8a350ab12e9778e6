"""Reads tables as they stand, in key-range chunks, so that a stream begun before can continue them exactly.

The order of things: make the slot; read every chunk while the source's stream pauses, storing each chunk's rows and
the progress in one transaction; then stream from the slot's beginning through a SnapshotFilter of the progress. Each
chunk is a REPEATABLE READ transaction of its own that locks the table first, so that no TRUNCATE or ALTER can fall
between its snapshot and its rows. A killed snapshot goes on with the next chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel, errors, sql

from cdc.catalogue import SESSION_OPTIONS, TableDefinition, read_catalogue
from cdc.copy_text import copy_out, parse_rows
from cdc.errors import NotPublishable
from cdc.events import ChangeEvent, Relation, Value
from cdc.positions import parse_lsn
from cdc.snapshot_filter import INT_OIDS, TEXT_OIDS
from cdc.snapshot_progress import Chunk, KeyText, SnapshotProgress, TableProgress, TransactionSnapshot

CHUNK_BYTES: Final = 8 << 20
"""COPY text that a chunk aims at; in Python's lists it takes some three times that."""
_FIRST_ROWS: Final = 2_000
_FEWEST_ROWS: Final = 100
_MOST_ROWS: Final = 50_000

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """Rows to store together with ``progress``, in one transaction.

    ``first``: the table begins, or begins anew because it was altered or truncated meanwhile: empty its mirror and
    give it ``table``'s columns before storing these rows. ``progress`` counts a chunk only once it is complete: a
    table that cannot be cut into ranges comes in several pieces and begins anew after a crash.
    A table that was dropped meanwhile gives one piece without columns and rows, whose progress alone counts.
    """

    table: TableDefinition
    relation: Relation
    first: bool
    rows: list[list[Value]]
    progress: SnapshotProgress

    def events(self) -> list[ChangeEvent]:
        """The rows as events: op ``r``, with ``xid``, ``lsn`` and ``seq`` 0."""
        source, relation = self.progress.source, self.relation
        indexes = relation.key_indexes
        return [
            ChangeEvent(source, 0, 0, 0, "r", relation, tuple([row[i] for i in indexes]), None, row)  # type: ignore[misc]
            for row in self.rows
        ]


def begin_snapshot(source: str, dsn: str, tables: Sequence[str]) -> SnapshotProgress:
    """The progress before the first chunk of ``tables`` (``schema.table``). Raises NotPublishable for absent ones."""
    with psycopg.connect(dsn, autocommit=True, options=SESSION_OPTIONS) as connection:
        known = {table.qualified_name: table.relid for table in read_catalogue(connection)}
    absent = {name: "there is no such table" for name in tables if name not in known}
    if absent:
        raise NotPublishable(absent)
    return SnapshotProgress(source, tuple(TableProgress(known[name], name) for name in tables))


def read_chunks(
    dsn: str, progress: SnapshotProgress, *, chunk_bytes: int = CHUNK_BYTES
) -> Generator[SnapshotChunk, None, None]:
    """The chunks after ``progress``. The last one's progress is ``done``; even an empty table gives a chunk.

    ``dsn``'s role needs SELECT on the tables. Memory is bounded by one chunk, at most four times ``chunk_bytes`` of
    COPY text. Raises psycopg.OperationalError when the connection breaks: go on from the stored progress.
    """
    with psycopg.connect(dsn, options=SESSION_OPTIONS, fallback_application_name="headwater") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for table in progress.tables:
            if table.done:
                continue
            for piece in _TableReader(connection, table, chunk_bytes).pieces():
                finished = max(progress.finished_lsn, piece.end_lsn)
                progress = replace(progress.with_table(piece.table), finished_lsn=finished)
                relation = piece.definition.relation()
                yield SnapshotChunk(piece.definition, relation, piece.first, piece.rows, progress)


@dataclass(frozen=True, slots=True)
class _Piece:
    definition: TableDefinition
    first: bool
    rows: list[list[Value]]
    table: TableProgress
    end_lsn: int


class _TooLarge(Exception):
    """A range holds several times the text aimed at."""


class _TableReader:
    def __init__(self, connection: Connection, table: TableProgress, chunk_bytes: int) -> None:
        self._connection = connection
        self._table = table
        self._chunk_bytes = chunk_bytes
        self._limit = _FIRST_ROWS

    def pieces(self) -> Iterator[_Piece]:
        while not self._table.done:
            name = self._present_name()
            if name is None:
                self._table = replace(self._table, done=True)
                schema, table = self._table.name.split(".", 1)
                gone = TableDefinition(
                    relid=self._table.relid,
                    schema=schema,
                    table=table,
                    replica_identity="d",
                    columns=(),
                    type_modifiers=(),
                    key=(),
                    publications=(),
                    filenode=0,
                )
                yield _Piece(gone, False, [], self._table, 0)
                return
            try:
                yield from self._next_chunk(name)
            except errors.UndefinedTable:
                continue  # renamed or dropped between looking up its name and locking it
            except _TooLarge:
                self._limit = max(_FEWEST_ROWS, self._limit // 4)

    def _present_name(self) -> tuple[str, str] | None:
        with self._connection.transaction():
            return self._connection.execute(
                "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where c.oid = %s",
                [self._table.relid],
            ).fetchone()

    def _next_chunk(self, name: tuple[str, str]) -> Iterator[_Piece]:
        """The next range as one piece, or the whole table in pieces; nothing if it was renamed in between."""
        with self._connection.transaction():
            self._connection.execute(sql.SQL("lock table only {} in access share mode").format(sql.Identifier(*name)))
            snapshot, end_lsn = self._take_snapshot()
            found = read_catalogue(self._connection, relids=[self._table.relid])
            if not found or (found[0].schema, found[0].table) != name:
                return
            definition = found[0]
            shape = _shape(definition)
            first = not self._table.chunks or self._table.shape != shape
            if first:
                columns = _chunk_columns(self._connection, definition)
                self._table = TableProgress(definition.relid, definition.qualified_name, shape, columns)
            if not self._table.chunk_columns:
                yield from self._whole_table(definition, snapshot, end_lsn)
                return
            rows = self._next_range(definition, snapshot)
        yield _Piece(definition, first, rows, self._table, end_lsn)

    def _take_snapshot(self) -> tuple[TransactionSnapshot, int]:
        row = self._connection.execute(
            "select pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text"
        ).fetchone()
        assert row is not None
        return TransactionSnapshot.parse(row[0]), parse_lsn(row[1])

    def _whole_table(
        self, definition: TableDefinition, snapshot: TransactionSnapshot, end_lsn: int
    ) -> Iterator[_Piece]:
        first, count = True, 0
        held: list[list[Value]] = []
        statement = _copy(definition, sql.SQL(""))
        for block in copy_out(self._connection, statement, block_bytes=self._chunk_bytes):
            if held:
                yield _Piece(definition, first, held, self._table, end_lsn)
                first = False
            held = parse_rows(block)
            count += len(held)
        self._table = replace(self._table, chunks=(Chunk(None, None, snapshot, count),), done=True)
        yield _Piece(definition, first, held, self._table, end_lsn)

    def _next_range(self, definition: TableDefinition, snapshot: TransactionSnapshot) -> list[list[Value]]:
        lower = self._table.chunks[-1].upper if self._table.chunks else None
        upper = self._boundary(definition, lower)
        rows: list[list[Value]] = []
        size = 0
        statement = _copy(definition, _range(self._table.chunk_columns, lower, upper))
        for block in copy_out(self._connection, statement, block_bytes=1 << 20):
            size += len(block)
            if size > 4 * self._chunk_bytes and self._limit > _FEWEST_ROWS:
                raise _TooLarge
            rows += parse_rows(block)
        if rows:
            self._limit = min(_MOST_ROWS, max(_FEWEST_ROWS, self._chunk_bytes * len(rows) // max(size, 1)))
        chunk = Chunk(lower, upper, snapshot, len(rows))
        self._table = replace(self._table, chunks=(*self._table.chunks, chunk), done=upper is None)
        return rows

    def _boundary(self, definition: TableDefinition, lower: KeyText | None) -> KeyText | None:
        """The key that ends the next range; None if fewer rows are left than a range holds."""
        columns = self._table.chunk_columns
        row = self._connection.execute(
            sql.SQL("select {texts} from only {table} t {above} order by {columns} offset {skip} limit 1").format(
                texts=_listed(sql.SQL("{}::text").format(sql.Identifier("t", column)) for column in columns),
                table=sql.Identifier(definition.schema, definition.table),
                above=_range(columns, lower, None),
                columns=_listed(sql.Identifier("t", column) for column in columns),
                skip=sql.Literal(self._limit - 1),
            )
        ).fetchone()
        return tuple(row) if row is not None else None


def _copy(definition: TableDefinition, where: sql.Composable) -> sql.Composed:
    return sql.SQL("copy (select {columns} from only {table} t {where}) to stdout").format(
        columns=_listed(sql.Identifier("t", column.name) for column in definition.columns),
        table=sql.Identifier(definition.schema, definition.table),
        where=where,
    )


def _range(columns: Sequence[str], lower: KeyText | None, upper: KeyText | None) -> sql.Composable:
    key = sql.SQL("({})").format(_listed(sql.Identifier("t", column) for column in columns))
    conditions = [
        sql.SQL("{} {} ({})").format(key, sql.SQL(operator), _listed(sql.Literal(value) for value in bound))
        for operator, bound in ((">", lower), ("<=", upper))
        if bound is not None
    ]
    return sql.SQL("where {}").format(sql.SQL(" and ").join(conditions)) if conditions else sql.SQL("")


def _listed(parts: Iterator[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _chunk_columns(connection: Connection, definition: TableDefinition) -> tuple[str, ...]:
    """The leading key columns whose order Python can follow: integers, uuid, and text under a byte-order collation."""
    ordered = connection.execute(
        """
        select a.attname
        from pg_attribute a
        left join pg_collation c on c.oid = a.attcollation
        join pg_database d on d.datname = current_database()
        where a.attrelid = %s
          and (
            a.atttypid = any (%s)
            or a.atttypid = any (%s) and (
              a.attcollation = 0
              or c.collprovider = 'b'
              or c.collprovider = 'c' and c.collcollate = any (%s)
              or c.collprovider = 'd' and (
                d.datlocprovider = 'b'
                or d.datlocprovider = 'c' and d.datcollate = any (%s)
              )
            )
          )
        """,
        [definition.relid, list(INT_OIDS), list(TEXT_OIDS), *[["C", "POSIX", "C.UTF-8", "C.utf8"]] * 2],
    ).fetchall()
    usable = {name for (name,) in ordered}
    columns: list[str] = []
    for name in definition.key:
        if name not in usable:
            break
        columns.append(name)
    return tuple(columns)


def _shape(definition: TableDefinition) -> str:
    """A digest that changes when the table is altered, rewritten or truncated."""
    columns = [(column.attnum, column.name, column.type_oid) for column in definition.columns]
    described = (definition.filenode, columns, definition.type_modifiers, definition.key)
    return hashlib.sha256(repr(described).encode()).hexdigest()[:16]

"""The mirror tables of one source as landing knows them, and the statements that write rows into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import orjson
import psycopg

from cdc.events import UNCHANGED, ColumnDefinition, Relation, Value
from cdc.types import TypeShape
from pipelines.landing.compaction import Truncation, Version
from pipelines.landing.errors import MirrorTaken
from pipelines.landing.text import array_literal, timestamp_text
from warehouse.mirror import (
    MirrorColumn,
    create_sql,
    mirror_type,
    qualified,
    quote,
    schema_of,
    set_aside,
    stored_sql,
    truncate_sql,
    upsert_sql,
)

Connection = psycopg.Connection[tuple[Any, ...]]
Execute = Callable[[str, Sequence[str]], object]
"""Runs one statement with ``$1`` placeholders, prepared."""

ROWS_A_STATEMENT: Final = 1000
"""Measured: 7.3 µs a row for 1,000 rows a statement, 7.8 for 10,000, which take ten times the memory."""

PLANS: Final = 2000
"""Relations whose statements are kept: every chunk of a snapshot and every session of the stream has its own."""

_FIRST_USER_OID: Final = 16384


@dataclass(slots=True)
class LandedColumn:
    """``attnum`` is the source's attribute number; None where only the stream's Relation told of the column."""

    name: str
    attnum: int | None
    type_name: str
    shape: TypeShape | None = None
    dropped: bool = False


@dataclass(slots=True)
class Mirror:
    """One mirror: ``columns`` by name, those that the source dropped included; ``key`` in index order."""

    schema: str
    table: str
    relid: int
    key: tuple[str, ...]
    columns: dict[str, LandedColumn]
    dropped: bool = False

    def key_columns(self) -> list[MirrorColumn]:
        return [MirrorColumn(name, self.columns[name].type_name) for name in self.key]


@dataclass(slots=True)
class Plan:
    """How rows of one relation, as the stream describes it at this moment, are written to their mirror.

    ``relation`` has the mirror's key, which is another than the stream's as long as the mirror could not take that one.
    """

    relation: Relation
    mirror: Mirror
    converters: list[tuple[int, Callable[[str], str]]]
    _statements: dict[tuple[tuple[int, ...], bool], str] = field(default_factory=dict)

    def write(self, execute: Execute, versions: Iterable[Version], *, read: bool) -> None:
        """Upserts the versions, each group of equally partial rows on its own; ``read``: from their table."""
        groups: dict[tuple[int, ...], list[Version]] = {}
        for version in versions:
            left_out = tuple(i for i, v in enumerate(version.values) if v is UNCHANGED) if version.partial else ()
            groups.setdefault(left_out, []).append(version)
        for left_out, group in groups.items():
            statement = self._statement(left_out, read)
            for start in range(0, len(group), ROWS_A_STATEMENT):
                execute(statement, self._arrays(group[start : start + ROWS_A_STATEMENT], left_out))

    def truncate(self, execute: Execute, truncation: Truncation) -> None:
        execute(
            truncate_sql(self.mirror.schema, self.mirror.table),
            [_lsn(truncation.lsn), str(truncation.seq), timestamp_text(truncation.committed_at)],
        )

    def stored_values(self, connection: Connection, key: Sequence[str | None], indexes: Sequence[int]) -> list[Value]:
        """The mirror's present values of these columns, in text; UNCHANGED in each place if the row is not there."""
        names = [self.relation.columns[i].name for i in indexes]
        statement = stored_sql(self.mirror.schema, self.mirror.table, names, self._relation_key())
        row = psycopg.RawCursor(connection).execute(statement.encode(), list(key)).fetchone()
        return list(row) if row is not None else [UNCHANGED] * len(indexes)

    def _relation_key(self) -> list[MirrorColumn]:
        names = [self.relation.columns[i].name for i in self.relation.key_indexes]
        return [MirrorColumn(name, self.mirror.columns[name].type_name) for name in names]

    def _statement(self, left_out: tuple[int, ...], read: bool) -> str:
        known = self._statements.get((left_out, read))
        if known is None:
            columns = [
                MirrorColumn(c.name, self.mirror.columns[c.name].type_name)
                for i, c in enumerate(self.relation.columns)
                if i not in left_out
            ]
            known = upsert_sql(self.mirror.schema, self.mirror.table, columns, self.mirror.key, read=read)
            self._statements[left_out, read] = known
        return known

    def _arrays(self, versions: Sequence[Version], left_out: tuple[int, ...]) -> list[str]:
        columns: list[Sequence[Any]] = list(zip(*[v.values for v in versions], strict=True))
        for i, convert in self.converters:
            if i not in left_out:
                columns[i] = [None if value is None else convert(value) for value in columns[i]]
        kept = [column for i, column in enumerate(columns) if i not in left_out] if left_out else columns
        arrays = [array_literal(column) for column in kept]
        arrays.append(array_literal([_lsn(v.lsn) for v in versions]))
        arrays.append(array_literal([str(v.seq) for v in versions]))
        arrays.append(array_literal(["t" if v.deleted else "f" for v in versions]))
        times = {at: timestamp_text(at) for at in {v.committed_at for v in versions}}
        arrays.append(array_literal([times[v.committed_at] for v in versions]))
        return arrays


class Mirrors:
    """The mirrors of one source. Everything here runs in the connection's present transaction.

    ``load`` again after a rollback: what a transaction changed here is then no longer true. ``unmirrored`` are names
    of tables, in any schema, whose changes go to the change log alone.
    """

    def __init__(self, connection: Connection, source: str, unmirrored: frozenset[str]) -> None:
        self.source = source
        self._connection = connection
        self._unmirrored = unmirrored
        self._by_name: dict[tuple[str, str], Mirror] = {}
        self._plans: dict[int, Plan | None] = {}
        self._relations: dict[int, Relation] = {}

    def load(self) -> None:
        self._by_name = {}
        self.forget_plans()
        # A mirror of a dropped table is free for whoever has a table of that name now.
        for schema, table, relid, key, dropped in self._connection.execute(
            "select schema_name, table_name, relid, key, dropped_at is not null from log.mirror"
            " where source = %s or dropped_at is not null",
            [self.source],
        ):
            self._by_name[schema, table] = Mirror(schema, table, relid, tuple(key), {}, dropped)
        for schema, table, name, attnum, type_name, shape, dropped in self._connection.execute(
            "select schema_name, table_name, column_name, attnum, type_name, shape, c.dropped_at is not null"
            " from log.mirror_column c join log.mirror m using (schema_name, table_name)"
            " where m.source = %s or m.dropped_at is not null",
            [self.source],
        ):
            column = LandedColumn(name, attnum, type_name, _shape_from(shape), dropped)
            self._by_name[schema, table].columns[name] = column

    def forget_plans(self) -> None:
        """After a schema change: statements are worked out anew."""
        self._plans.clear()
        self._relations.clear()

    def all(self) -> list[Mirror]:
        return sorted(self._by_name.values(), key=lambda m: (m.schema, m.table))

    def by_relid(self, relid: int) -> Mirror | None:
        return next((m for m in self._by_name.values() if m.relid == relid and not m.dropped), None)

    def named(self, schema: str, table: str) -> Mirror | None:
        return self._by_name.get((schema, table))

    def is_mirrored(self, table: str) -> bool:
        return table not in self._unmirrored

    def plan(self, relation: Relation) -> Plan | None:
        """How to write this relation's rows; None if it has no mirror. Makes what the mirror lacks."""
        found = self._plans.get(id(relation), self)
        if not isinstance(found, Mirrors):
            return found
        if len(self._plans) > PLANS:
            self.forget_plans()
        plan = self._make_plan(relation)
        self._relations[id(relation)] = relation  # keeps the id from being given to another
        self._plans[id(relation)] = plan
        return plan

    def create(
        self, schema: str, table: str, relid: int, columns: Sequence[LandedColumn], key: Sequence[str]
    ) -> Mirror:
        """A new mirror table and its record. Raises MirrorTaken if another source has a table of this name."""
        execute = self._connection.execute
        taken = execute(
            "select source from log.mirror where schema_name = %s and table_name = %s", [schema, table]
        ).fetchone()
        if taken is not None:
            raise MirrorTaken(self.source, schema, table, owner=taken[0])
        execute(f"create schema if not exists {quote(schema_of(schema))}".encode())
        typed = [MirrorColumn(c.name, c.type_name) for c in columns]
        execute(create_sql(schema, table, typed, key).encode())
        # Until somebody says who may see its rows (dbt's prepare_mirrors), nobody but the owner does.
        execute(f"alter table {qualified(schema, table)} enable row level security".encode())
        execute(
            "insert into log.mirror (schema_name, table_name, source, relid, key) values (%s, %s, %s, %s, %s)",
            [schema, table, self.source, relid, list(key)],
        )
        mirror = Mirror(schema, table, relid, tuple(key), {})
        self._by_name[schema, table] = mirror
        for column in columns:
            self.record(mirror, column)
        return mirror

    def adopt(self, mirror: Mirror, relid: int) -> None:
        """A new table under the name of an old one takes its mirror over; columns then match by name, not by number."""
        self._connection.execute(
            "update log.mirror set source = %s, relid = %s, dropped_at = null"
            " where schema_name = %s and table_name = %s",
            [self.source, relid, mirror.schema, mirror.table],
        )
        mirror.relid, mirror.dropped = relid, False
        for column in mirror.columns.values():
            column.attnum = None
            self.record(mirror, column)

    def record(self, mirror: Mirror, column: LandedColumn) -> None:
        """Remembers a column that was added or changed."""
        mirror.columns[column.name] = column
        self._connection.execute(
            "insert into log.mirror_column (schema_name, table_name, column_name, attnum, type_name, shape, dropped_at)"
            " values (%s, %s, %s, %s, %s, %s, case when %s then now() end)"
            " on conflict (schema_name, table_name, column_name) do update set attnum = excluded.attnum,"
            " type_name = excluded.type_name, shape = excluded.shape,"
            " dropped_at = case when %s then coalesce(mirror_column.dropped_at, now()) end",
            [
                mirror.schema,
                mirror.table,
                column.name,
                column.attnum,
                column.type_name,
                None if column.shape is None else orjson.dumps(asdict(column.shape)).decode(),
                column.dropped,
                column.dropped,
            ],
        )

    def rename(self, mirror: Mirror, schema: str, table: str) -> None:
        """The source's table has another name, or moved. A mirror of a dropped table in the way is set aside."""
        occupant = self.named(schema, table)
        if occupant is not None:
            self.rename(occupant, occupant.schema, set_aside(occupant.table, occupant.relid))
        execute = self._connection.execute
        execute(f"create schema if not exists {quote(schema_of(schema))}".encode())
        old = qualified(mirror.schema, mirror.table)
        if table != mirror.table:
            execute(f"alter table {old} rename to {quote(table)}".encode())
        if schema != mirror.schema:
            moved = qualified(mirror.schema, table)
            execute(f"alter table {moved} set schema {quote(schema_of(schema))}".encode())
        execute(
            "update log.mirror set schema_name = %s, table_name = %s where schema_name = %s and table_name = %s",
            [schema, table, mirror.schema, mirror.table],
        )
        execute(
            "update log.parked set schema_name = %s, table_name = %s"
            " where source = %s and schema_name = %s and table_name = %s",
            [schema, table, self.source, mirror.schema, mirror.table],
        )
        del self._by_name[mirror.schema, mirror.table]
        mirror.schema, mirror.table = schema, table
        self._by_name[schema, table] = mirror

    def rename_column(self, mirror: Mirror, old: str, new: str) -> None:
        table = qualified(mirror.schema, mirror.table)
        self._connection.execute(f"alter table {table} rename column {quote(old)} to {quote(new)}".encode())
        self._connection.execute(
            "update log.mirror_column set column_name = %s"
            " where schema_name = %s and table_name = %s and column_name = %s",
            [new, mirror.schema, mirror.table, old],
        )
        self._connection.execute(
            "update log.parked set"
            " key = case when key ? %(old)s then key - %(old)s || jsonb_build_object(%(new)s::text, key -> %(old)s)"
            " else key end,"
            " after = case when after ? %(old)s"
            " then after - %(old)s || jsonb_build_object(%(new)s::text, after -> %(old)s) else after end"
            " where source = %(source)s and schema_name = %(schema)s and table_name = %(table)s",
            {"old": old, "new": new, "source": self.source, "schema": mirror.schema, "table": mirror.table},
        )
        column = mirror.columns.pop(old)
        column.name = new
        mirror.columns[new] = column
        if old in mirror.key:
            mirror.key = tuple(new if name == old else name for name in mirror.key)
            self._connection.execute(
                "update log.mirror set key = %s where schema_name = %s and table_name = %s",
                [list(mirror.key), mirror.schema, mirror.table],
            )

    def add_column(self, mirror: Mirror, column: LandedColumn) -> None:
        table = qualified(mirror.schema, mirror.table)
        self._connection.execute(f"alter table {table} add column {quote(column.name)} {column.type_name}".encode())
        self.record(mirror, column)

    def _make_plan(self, relation: Relation) -> Plan | None:
        if not relation.key_indexes or not self.is_mirrored(relation.table):
            return None
        mirror = self.named(relation.schema, relation.table)
        if mirror is None and (renamed := self.by_relid(relation.relid)) is not None:
            self.rename(renamed, relation.schema, relation.table)
            mirror = renamed
        if mirror is None:
            columns = [self._described(relation, i) for i in range(len(relation.columns))]
            key = [relation.columns[i].name for i in relation.key_indexes]
            mirror = self.create(relation.schema, relation.table, relation.relid, columns, key)
        if mirror.dropped:
            self.adopt(mirror, relation.relid)
        for i, column in enumerate(relation.columns):
            if column.name not in mirror.columns:
                self.add_column(mirror, self._described(relation, i))
        shapes = ((i, mirror.columns[c.name].shape) for i, c in enumerate(relation.columns))
        converters = [(i, c) for i, shape in shapes if shape is not None and (c := shape.converter()) is not None]
        return Plan(_keyed_by(relation, mirror.key), mirror, converters)

    def _described(self, relation: Relation, index: int) -> LandedColumn:
        """A column known from the stream alone: a type of PostgreSQL itself by its oid, any other as text."""
        column = relation.columns[index]
        type_name = "text"
        if column.type_oid < _FIRST_USER_OID:
            found = self._connection.execute("select format_type(%s, null)", [column.type_oid]).fetchone()
            type_name = mirror_type(found[0]) if found and "?" not in found[0] else "text"
        return LandedColumn(column.name, None, type_name)


def _keyed_by(relation: Relation, key: Sequence[str]) -> Relation:
    if {relation.names[i] for i in relation.key_indexes} == set(key) or not set(key) <= set(relation.names):
        return relation
    return replace(relation, columns=tuple(replace(column, is_key=column.name in key) for column in relation.columns))


def landed_column(definition: ColumnDefinition) -> LandedColumn:
    """A column as the source's catalogue defines it."""
    shape = definition.shape
    structured = shape is not None and shape.converter() is not None
    return LandedColumn(
        definition.name, definition.attnum, mirror_type(definition.warehouse_type), shape if structured else None
    )


def _shape_from(stored: dict[str, Any] | None) -> TypeShape | None:
    if stored is None:
        return None
    fields = tuple((name, shape) for name, raw in stored["fields"] if (shape := _shape_from(raw)) is not None)
    element = _shape_from(stored["element"])
    return TypeShape(stored["kind"], stored["name"], tuple(stored["labels"]), fields, element, stored["delimiter"])


def _lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"

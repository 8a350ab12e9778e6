"""Source tables as the catalogue has them now: columns, primary key, publications, and types as they land."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from cdc.events import Column, ColumnDefinition, Relation
from cdc.types import CatalogueType, resolve

DESCRIBE_SQL: Final = files("cdc").joinpath("sql/describe.sql").read_text()

# The text form of a value depends on these; stream and snapshot sessions fix them, so both give the same text.
SESSION_SETTINGS: Final = {
    "search_path": "pg_catalog",
    "datestyle": "ISO,MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "timezone": "UTC",
    "client_encoding": "UTF8",
}
SESSION_OPTIONS: Final = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
"""libpq's ``options`` for a session whose text output is the stream's."""


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """One table. ``key`` is in index order; ``filenode`` changes whenever the table is rewritten or truncated."""

    relid: int
    schema: str
    table: str
    replica_identity: str
    columns: tuple[ColumnDefinition, ...]
    type_modifiers: tuple[int, ...]
    key: tuple[str, ...]
    publications: tuple[str, ...]
    filenode: int

    @property
    def qualified_name(self) -> str:
        return f"{self.schema}.{self.table}"

    def relation(self) -> Relation:
        """This table as the stream describes it; equal to the decoder's Relation of the same moment."""
        columns = tuple(
            Column(column.name, column.type_oid, modifier, column.name in self.key)
            for column, modifier in zip(self.columns, self.type_modifiers, strict=True)
        )
        return Relation(self.relid, self.schema, self.table, self.replica_identity, columns)


def parse_description(relid: int, row: Mapping[str, Any]) -> TableDefinition:
    """Reads one description of ``sql/describe.sql``."""
    types = {found.oid: found for found in map(CatalogueType.from_json, row["types"])}
    columns = tuple(_column(column, types) for column in row["columns"])
    return TableDefinition(
        relid=relid,
        schema=row["schema"],
        table=row["table"],
        replica_identity=row["replica_identity"],
        columns=columns,
        type_modifiers=tuple(column[3] for column in row["columns"]),
        key=tuple(row["key"]),
        publications=tuple(row["publications"]),
        filenode=row["filenode"],
    )


def _column(row: Sequence[Any], types: Mapping[int, CatalogueType]) -> ColumnDefinition:
    attnum, name, type_oid, _, type_name, not_null, default = row
    base = types[type_oid]
    while base.kind == "d":
        type_name, base = base.base_name, types[base.base]
    return ColumnDefinition(
        attnum=attnum,
        name=name,
        type_name=type_name,
        type_oid=type_oid,
        not_null=not_null,
        default=default,
        shape=resolve(base.oid, type_name, types),
    )


def read_descriptions(
    connection: psycopg.Connection[Any],
    schemas: Sequence[str] | None = None,
    *,
    relids: Sequence[int] | None = None,
) -> dict[int, dict[str, Any]]:
    """Relation id → what ``sql/describe.sql`` says, in order of names: the permanent tables of ``schemas`` (None: all
    schemas but PostgreSQL's own), or those with ``relids``.

    Runs in the connection's present transaction, or in one of its own.
    """
    with connection.transaction(), psycopg.RawCursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute("set local search_path = pg_catalog")
        cursor.execute(DESCRIBE_SQL, [relids, schemas])
        return dict(cursor.fetchall())


def read_catalogue(
    connection: psycopg.Connection[Any],
    schemas: Sequence[str] | None = None,
    *,
    relids: Sequence[int] | None = None,
) -> list[TableDefinition]:
    """The same tables as ``read_descriptions``, read."""
    found = read_descriptions(connection, schemas, relids=relids)
    return [parse_description(relid, description) for relid, description in found.items()]

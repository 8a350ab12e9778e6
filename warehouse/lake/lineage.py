"""What source tables and their columns were called when, so that old images are read under the names they came with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from warehouse.lake.place import literal

Position = tuple[int, int, int]
"""(epoch, lsn, seq): orders the changes of one row."""

_MIRRORS: Final = "select source, relid, schema_name, table_name from log.mirror order by schema_name, table_name"
_COLUMNS: Final = (
    "select schema_name, table_name, column_name, attnum, type_name from log.mirror_column"
    " order by schema_name, table_name, coalesce(attnum, 32767), column_name"
)
_CHANGED: Final = (
    "select source, relid, epoch, (lsn - '0/0')::bigint, seq, schema_name, table_name, before, after"
    " from log.schema_change order by source, relid, epoch, lsn, seq"
)
_READ: Final = "select source, epoch, begun from log.snapshot order by snapshot_id"


@dataclass(slots=True)
class Column:
    """``was``: (until, name), the names it had before its present one, oldest first."""

    name: str
    attnum: int | None
    type_name: str
    was: list[tuple[Position, str]] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """A mirrored table; ``was`` as a column's, with schema and table."""

    schema: str
    name: str
    columns: list[Column]
    was: list[tuple[Position, tuple[str, str]]] = field(default_factory=list)


def tables(log: psycopg.Connection[tuple[Any, ...]]) -> list[Table]:
    """Every mirrored table, by the names it and its columns have and had."""
    columns: dict[tuple[str, str], list[Column]] = {}
    for schema, table, name, attnum, type_name in log.execute(_COLUMNS):
        columns.setdefault((schema, table), []).append(Column(name, attnum, type_name))
    found_tables, by_relation = [], {}
    for source, relid, schema, table in log.execute(_MIRRORS):
        made = Table(schema, table, columns.get((schema, table), []))
        found_tables.append(made)
        by_relation[source, relid] = made
    names: dict[tuple[str, int], list[tuple[Position, tuple[str, str]]]] = {}
    for source, epoch, begun in log.execute(_READ):
        for relid, read_as in begun.items():
            for name in read_as:
                schema, _, table = name.partition(".")
                names.setdefault((source, int(relid)), []).append(((epoch, 0, 0), (schema, table)))
    for source, relid, epoch, lsn, seq, schema, table, before, after in log.execute(_CHANGED):
        names.setdefault((source, relid), []).append(((epoch, lsn, seq), (schema, table)))
        if (found := by_relation.get((source, relid))) is not None:
            _rename(found, (epoch, lsn, seq), before or [], after or [])
    for relation, known in names.items():
        if (found := by_relation.get(relation)) is not None:
            found.was = _former(sorted(known), (found.schema, found.name))
    return found_tables


def _rename(table: Table, at: Position, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    now = {column["attnum"]: column["name"] for column in after}
    for column in before:
        if now.get(column["attnum"], column["name"]) != column["name"]:
            for known in table.columns:
                if known.attnum == column["attnum"]:
                    known.was.append((at, column["name"]))


def _former(
    known: list[tuple[Position, tuple[str, str]]], present: tuple[str, str]
) -> list[tuple[Position, tuple[str, str]]]:
    """Names up to when the next one began."""
    former = []
    for (_, name), (until, following) in zip(known, [*known[1:], (None, present)], strict=True):
        if name != following and until is not None:
            former.append((until, name))
    return former


def text(column: Column, *images: str) -> str:
    """SQL over ``log.changes``: the column's text in the first of these images that has it, named as it was then."""
    return _at_its_time(column, [_path(name) for _, name in column.was], _path(column.name), images)


def _at_its_time(column: Column, former: Sequence[str], present: str, images: Sequence[str]) -> str:
    now = _first(present, images)
    if not former:
        return now
    branches = [
        f"when (epoch, lsn, seq) < {until} then {_first(path, images)}"
        for (until, _), path in zip(column.was, former, strict=True)
    ]
    # What was read anew after a schema change came under the names that the mirror had by then.
    then = f"case {' '.join(branches)} else {now} end"
    return f"case when op = 'r' then coalesce({now}, {then}) else {then} end"


def _first(path: str, images: Sequence[str]) -> str:
    """A JSON null is a value: the next image is asked only where this one lacks the name."""
    image, *others = images
    value = f"json_extract_string({image}, {path})"
    if not others:
        return value
    absent = f"{image} is null or not json_exists({image}, {path})"
    return f"coalesce({value}, case when {absent} then {_first(path, others)} end)"


def _path(name: str) -> str:
    return literal('$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"')


def condition(table: Table) -> str:
    """SQL over ``log.changes``: the changes of this table, under each name that it had."""
    if not table.was:
        return f"schema_name = {literal(table.schema)} and table_name = {literal(table.name)}"
    parts, since = [], None
    segments: Sequence[tuple[Position | None, tuple[str, str]]] = [*table.was, (None, (table.schema, table.name))]
    for until, (schema, name) in segments:
        part = f"schema_name = {literal(schema)} and table_name = {literal(name)}"
        part += f" and (epoch, lsn, seq) >= {since}" if since else ""
        part += f" and (epoch, lsn, seq) < {until}" if until else ""
        parts.append(f"({part})")
        since = until
    tables = ", ".join(sorted({literal(name) for _, (_, name) in segments}))
    return f"table_name in ({tables}) and ({' or '.join(parts)})"

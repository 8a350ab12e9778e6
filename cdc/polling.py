"""Schema changes without an event trigger: the catalogue compared with what was known of it. The weaker mode.

What it cannot know is where between the rows a change stands, and what several changes in a row were. So it says, once
the stream has passed the moment at which it looked, how the table stands now, and asks for the table to be read again
whenever its columns differ or its storage is another: existing rows may read differently, and rows that were under way
may have landed under names of a moment before (docs/decisions/0024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from cdc.catalogue import parse_description, read_descriptions
from cdc.events import ChangeEvent, Relation, SchemaChange
from cdc.positions import parse_lsn

COMMAND: Final = "POLL"
UNPUBLISHED: Final = "UNPUBLISHED"
"""Commands of the changes that are made here, where the trigger's have PostgreSQL's own."""

Description = Mapping[str, Any]
"""What ``sql/describe.sql`` says of one table."""

_PUBLISHED: Final = """
select c.oid::bigint
from pg_publication_tables p
join pg_namespace n on n.nspname = p.schemaname
join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
where p.pubname = any(%s)
"""
_STANDING: Final = "select oid::bigint from pg_class where oid = any(%s::bigint[]::oid[])"


@dataclass(frozen=True, slots=True)
class Look:
    """The published tables at one moment, and those that stand without being published any more.

    Whatever had committed by then is written before ``lsn``.
    """

    tables: Mapping[int, Description]
    unpublished: frozenset[int]
    lsn: int


def look(connection: psycopg.Connection[Any], publications: Sequence[str], known: Sequence[int] = ()) -> Look:
    """Reads the catalogue; of the tables ``known``, it tells those that are dropped from those no longer published.

    ``connection`` is in autocommit mode.
    """
    published = [row[0] for row in connection.execute(_PUBLISHED, [list(publications)])]
    # None would mean every table there is.
    tables = read_descriptions(connection, relids=published) if published else {}
    gone = [relid for relid in known if relid not in tables]
    standing = frozenset(row[0] for row in connection.execute(_STANDING, [gone])) if gone else frozenset()
    # Last: a change that was seen had committed before, so that its record ends before this.
    row = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return Look(tables, standing, parse_lsn(row[0]))


def changes(source: str, known: Mapping[int, Description], seen: Look) -> dict[int, SchemaChange]:
    """By relation id, what differs between what was known and what was seen; the order among tables is not known."""
    found = {}
    for relid in known.keys() | seen.tables.keys():
        before, after = known.get(relid), seen.tables.get(relid)
        if after is not None:
            rewrites = before is None or rereads(before, after)
            if rewrites or before is None or _facts(before) != _facts(after):
                change = _change(source, relid, before, after, (0, seen.lsn, 0))
                found[relid] = replace(change, rewrites=rewrites, description=after)
        elif before is not None:
            found[relid] = _gone(source, relid, before, seen, dropped=relid not in seen.unpublished)
    return found


def follow(source: str, relid: int, before: Description | None, after: Description, row: ChangeEvent) -> SchemaChange:
    """The change that the stream shows by describing the table anew for ``row``: its columns, from there on.

    It is a courtesy to the rows that follow; the change that ``changes`` finds, which is to be remembered, comes too.
    """
    return _change(source, relid, before, after, (row.xid, row.lsn, row.seq))


def describes(description: Description, relation: Relation) -> bool:
    """Whether the stream describes the table as the catalogue did."""
    columns = [(name, oid, modifier) for _, name, oid, modifier, *_ in description["columns"]]
    return (description["schema"], description["table"]) == (relation.schema, relation.table) and columns == [
        (column.name, column.type_oid, column.type_modifier) for column in relation.columns
    ]


def rereads(before: Description, after: Description) -> bool:
    """Whether existing rows may read differently, or rows on their way may have been misunderstood.

    A new storage file is a rewrite (USING, a volatile default), but also VACUUM FULL, CLUSTER or TRUNCATE, after which
    the table is read again for nothing. Dropped columns and changed constraints ask for nothing.
    """
    standing = {column[0] for column in after["columns"]}
    kept = [column[:5] for column in before["columns"] if column[0] in standing]
    return bool(
        before["filenode"] != after["filenode"]
        or kept != [column[:5] for column in after["columns"]]
        or before["key"] != after["key"]
        or _types(before, after) != _types(after, after)
    )


def _types(description: Description, after: Description) -> list[Any]:
    """The types that the table still has afterwards; of an enum, the labels that it has then no more."""
    present = {found["oid"]: found["labels"] or [] for found in after["types"]}
    return [
        found | {"labels": [label for label in found["labels"] or [] if label not in present[found["oid"]]]}
        for found in description["types"]
        if found["oid"] in present
    ]


def _facts(description: Description) -> dict[str, Any]:
    """What a schema change tells of; the rest is the table's own business."""
    return {name: description[name] for name in ("schema", "table", "columns", "key", "types")}


def _change(
    source: str, relid: int, before: Description | None, after: Description, at: tuple[int, int, int]
) -> SchemaChange:
    xid, lsn, seq = at
    new = parse_description(relid, after)
    return SchemaChange(
        source=source,
        xid=xid,
        lsn=lsn,
        seq=seq,
        relid=relid,
        schema=new.schema,
        table=new.table,
        command=COMMAND,
        before=parse_description(relid, before).columns if before is not None else None,
        after=new.columns,
        key=new.key,
        rewrites=False,
        polled=True,
    )


def _gone(source: str, relid: int, before: Description, seen: Look, *, dropped: bool) -> SchemaChange:
    """A table that is dropped, or that stands and is published no more: the stream says nothing of it from now on."""
    old = parse_description(relid, before)
    return SchemaChange(
        source=source,
        xid=0,
        lsn=seen.lsn,
        seq=0,
        relid=relid,
        schema=old.schema,
        table=old.table,
        command=COMMAND if dropped else UNPUBLISHED,
        before=old.columns,
        after=None if dropped else old.columns,
        key=old.key,
        rewrites=False,
        polled=True,
    )

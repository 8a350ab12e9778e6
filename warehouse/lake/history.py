"""One row's history: the change log and the lake together, cut where the lake ends, folded into versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import psycopg
from psycopg import sql

from warehouse.lake.errors import LakeError
from warehouse.lake.place import Lake
from warehouse.lake.read import Change, Cut, change, changes, cuts, in_order

Connection = psycopg.Connection[tuple[Any, ...]]

NAMES: Final[Mapping[str, tuple[str, str, str]]] = {
    "accounts": ("contacts", "account", "account_number"),
    "contacts": ("contacts", "contact", "email"),
    "orders": ("orders", "sales_order", "order_number"),
    "products": ("inventory", "product", "sku"),
}
"""What people call a table, and the column that they call its rows by."""

_SINCE: Final = """
select change.source, change.epoch, change.batch_id, change.xid, (change.lsn - '0/0')::bigint, change.seq,
  change.op::text, change.before, change.after, change.committed_at, change.commit_no,
  said.actor::text, said.actor_name, said.command, said.request_id::text, said.reason
from log.change_log as change
left join unnest(%(sources)s::text[], %(batches)s::bigint[]) as cut (source, batch_id)
  on cut.source = change.source
left join lateral ops.said(change.source, change.epoch, change.xid, change.lsn) as said on true
where (change.key = %(key)s or (change.key = '{}' and change.op = 't'))
  and change.schema_name = %(schema)s and change.table_name = %(table)s
  and change.batch_id > coalesce(cut.batch_id, 0)
"""


class NoSuchRow(LakeError):
    """What was asked for has no name here, or the name is of nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row's name: schema and table of its service, and its key as jsonb's text."""

    schema: str
    table: str
    key: str


@dataclass(frozen=True, slots=True)
class Version:
    """The row after one change. ``state`` is None once it is deleted; ``fields``: (before, after) of what differs."""

    change: Change
    state: dict[str, Any] | None
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class History:
    """Versions, oldest first. ``missing`` says why the lake's part is not in it; None where all is.

    ``gone_since``: the row is under this key no more, though no change of it says so: its key was changed (what it is
    since then is the history of its new key), or a later reading of the whole table did not find it.
    """

    row: Row
    versions: list[Version]
    missing: str | None = None
    gone_since: datetime | None = None

    def at(self, time: datetime) -> Version | None:
        """The version that stood at ``time`` (the last one where the row was gone by then); None where the row was not
        known yet."""
        standing = None
        for version in self.versions:
            if version.change.committed_at <= time:
                standing = version
        return standing


def find(log: Connection, name: str) -> Row:
    """``accounts/AC-000001``, ``accounts/<uuid>``, ``<schema>.<table>/<key>``; a key of several columns as ``a=1,b=2``.

    Raises NoSuchRow, which says what would do.
    """
    kind, slash, called = name.partition("/")
    if not slash or not called:
        raise NoSuchRow(f"{name!r} names no row: write accounts/AC-000001, or <schema>.<table>/<key>.")
    by = ""
    if kind in NAMES:
        schema, table, by = NAMES[kind]
    else:
        schema, _, table = kind.partition(".")
    found = _key_of(log, schema, table)
    if found is None:
        raise NoSuchRow(
            f"There is no table {kind!r}: write {', '.join(NAMES)}, or <schema>.<table> as the warehouse mirrors it."
        )
    columns, types = found
    values = _key_values(called, columns)
    if values is not None and (key := _canonical(log, columns, types, values)) is not None:
        return Row(schema, table, key)
    if by and (key := _called(log, schema, table, columns, by, called)) is not None:
        return Row(schema, table, key)
    expected = ", ".join(f"{column} ({kind_})" for column, kind_ in zip(columns, types, strict=True))
    raise NoSuchRow(f"{called!r} is no key of {schema}.{table}, which has {expected}" + (f" or {by}." if by else "."))


def history(log: Connection, lake: Lake, row: Row) -> History:
    """Every version of the row. ``log`` reads ``log.*`` as its owner: who may see the row was settled before.

    Where the lake cannot be used, what the change log still holds, with the reason.
    """
    past: list[Change] = []
    ends: dict[str, Cut] = {}
    missing = None
    try:
        with lake.open() as session:
            session.execute("begin")  # one snapshot: the cut is that of these changes
            ends = cuts(session)
            past = changes(session, row.schema, row.table, row.key)
    except LakeError as error:
        missing, ends, past = str(error), {}, []
    recent = _since(log, row, ends)
    versions = fold(in_order([*past, *recent], _epochs(log)))
    alive = bool(versions) and versions[-1].state is not None
    return History(row, versions, missing, _gone_since(log, row) if alive else None)


def _gone_since(log: Connection, row: Row) -> datetime | None:
    """When the mirror says that the row went; None where it is there."""
    found = _key_of(log, row.schema, row.table)
    mirror = sql.Identifier(f"raw_{row.schema}", row.table)
    there = log.execute("select to_regclass(%s) is not null", [mirror.as_string(log)]).fetchone()
    if found is None or there != (True,):
        return None
    columns, types = found
    named = orjson.loads(row.key)
    key = sql.SQL(" and ").join(
        sql.SQL("{} = {}::{}").format(sql.Identifier(column), sql.Literal(named[column]), sql.SQL(kind))
        for column, kind in zip(columns, types, strict=True)
    )
    gone = log.execute(sql.SQL("select _committed_at from {} where _deleted and {}").format(mirror, key)).fetchone()
    return gone[0] if gone else None


def _key_of(log: Connection, schema: str, table: str) -> tuple[list[str], list[str]] | None:
    """Names and types of the key's columns; None for a table that is not mirrored."""
    found = log.execute(
        "select m.key, array(select c.type_name from unnest(m.key) with ordinality as k (name, n)"
        " join log.mirror_column c on c.schema_name = m.schema_name and c.table_name = m.table_name"
        " and c.column_name = k.name order by k.n)"
        " from log.mirror m where m.schema_name = %s and m.table_name = %s",
        [schema, table],
    ).fetchone()
    return (found[0], found[1]) if found else None


def _epochs(log: Connection) -> dict[tuple[str, int], int]:
    """Every source's epochs in the order they began: a service's tables may have come from several sources."""
    found = log.execute("select source, epoch from log.epoch order by started_at, source, epoch").fetchall()
    return {(source, epoch): place for place, (source, epoch) in enumerate(found)}


def fold(ordered: Sequence[Change]) -> list[Version]:
    """Versions from changes, oldest first. What a change does not tell (unchanged TOAST) is as it was."""
    versions: list[Version] = []
    state: dict[str, Any] | None = None
    for found in ordered:
        if found.op == "t" and state is None:
            continue
        before = state
        if found.op in "dt":
            state = None
        else:
            known = found.before if found.before is not None else (state or {})
            state = {**known, **(found.after or {})}
        versions.append(Version(found, state, _differing(before or found.before, state)))
    return versions


def _differing(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    old, new = before or {}, after or {}
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def _since(log: Connection, row: Row, ends: Mapping[str, Cut]) -> list[Change]:
    found = log.execute(
        _SINCE,
        {
            "sources": list(ends),
            "batches": [cut.batch for cut in ends.values()],
            "key": row.key,
            "schema": row.schema,
            "table": row.table,
        },
    ).fetchall()
    named = log.execute("select %s::jsonb", [row.key]).fetchone()
    key = named[0] if named else {}
    return [change(row.schema, row.table, key, line) for line in found]


def _key_values(called: str, columns: Sequence[str]) -> list[str] | None:
    if len(columns) == 1:
        return [called]
    pairs = dict(part.partition("=")[::2] for part in called.split(","))
    return [pairs[column] for column in columns] if pairs.keys() == set(columns) else None


def _canonical(log: Connection, columns: Sequence[str], types: Sequence[str], values: Sequence[str]) -> str | None:
    """The key as the change log has it: each value in the text form of its type; None for a value of another type."""
    parts = [
        sql.SQL("{}, {}::{}::text").format(sql.Literal(column), sql.Literal(value), sql.SQL(kind))
        for column, kind, value in zip(columns, types, values, strict=True)
    ]
    try:
        with log.transaction():
            found = log.execute(sql.SQL("select jsonb_build_object({})::text").format(sql.SQL(", ").join(parts)))
            row = found.fetchone()
    except psycopg.DataError:
        return None
    return str(row[0]) if row else None


def _called(log: Connection, schema: str, table: str, columns: Sequence[str], by: str, called: str) -> str | None:
    """The key of the row that people call so, from the mirror."""
    query = sql.SQL(
        "select jsonb_build_object({key}, {column}::text)::text from {mirror} where {by} = {called} and not _deleted"
    ).format(
        key=sql.Literal(columns[0]),
        column=sql.Identifier(columns[0]),
        mirror=sql.Identifier(f"raw_{schema}", table),
        by=sql.Identifier(by),
        called=sql.Literal(called),
    )
    found = log.execute(query).fetchall()
    return str(found[0][0]) if len(found) == 1 else None

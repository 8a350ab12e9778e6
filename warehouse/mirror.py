"""SQL of mirror tables: ``raw_<schema>.<table>``, the source's columns typed, plus the version each row stands at.

A row's version is (``_lsn``, ``_seq``): where the change that wrote it stands. The stream's changes come in commit
order, each once, and the later one wins whatever its position: of a row that one transaction deletes and another
inserts, the insert may stand first in the log (docs/decisions/0023). A row that was read from its table gives way to
what the stream has written since, and keeps out what the read has seen. Deleted rows stay, flagged. Only the key is NOT
NULL: a tombstone may have nothing else, and what the source enforces need not be enforced again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

VERSION = (("_lsn", "pg_lsn"), ("_seq", "integer"), ("_deleted", "boolean"), ("_committed_at", "timestamptz"))
"""The mirror's own columns, last in every statement here and last in the rows its callers give."""

REREAD = -2
"""``_seq`` of a row that was read again beside the stream: it holds all that was written before its ``_lsn``."""

_MODIFIER = re.compile(r"\(\d+(,-?\d+)?\)")
_UNBOUNDED = {"character": "bpchar", "bit": "bit varying", "xml": "text"}


@dataclass(frozen=True, slots=True)
class MirrorColumn:
    """A column as it stands in the mirror; ``type_name`` comes from ``mirror_type``."""

    name: str
    type_name: str


def mirror_type(type_name: str) -> str:
    """The type without its length or precision: ``numeric(19,4)`` → ``numeric``, ``character(3)`` → ``bpchar``.

    The source enforces the limit. Here it could only refuse a row that is re-read from a source whose limit was
    raised meanwhile. xml lands as text: a server may be built without it.
    """
    base = _MODIFIER.sub("", type_name)
    element = base.removesuffix("[]")
    return _UNBOUNDED.get(element, element) + base[len(element) :]


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def set_aside(name: str, mark: object) -> str:
    """The name of what stands where something else of this name is to be; PostgreSQL would cut it at 63 bytes itself,
    and nobody would find it under the name that was given."""
    suffix = f"__{mark}"
    return name.encode()[: 63 - len(suffix)].decode(errors="ignore") + suffix


def literal(text: str) -> str:
    """A string literal; standard_conforming_strings is on."""
    return "'" + text.replace("'", "''") + "'"


def schema_of(source_schema: str) -> str:
    return f"raw_{source_schema}"


def qualified(source_schema: str, table: str) -> str:
    """The mirror's quoted name."""
    return f"{quote(schema_of(source_schema))}.{quote(table)}"


def create_sql(source_schema: str, table: str, columns: Sequence[MirrorColumn], key: Sequence[str]) -> str:
    """Makes the mirror. The fill factor leaves room for updates in place: rows change far more often than they grow."""
    body = [f"{quote(c.name)} {c.type_name}" for c in columns]
    body += [f"{name} {type_name} not null" for name, type_name in VERSION]
    body.append(f"primary key ({', '.join(map(quote, key))})")
    return f"create table {qualified(source_schema, table)} ({', '.join(body)}) with (fillfactor = 85)"


def upsert_sql(
    source_schema: str,
    table: str,
    columns: Sequence[MirrorColumn],
    key: Sequence[str],
    *,
    read: bool,
) -> str:
    """Writes rows given as one text array a column (``columns``, then ``VERSION``), as ``$1``, ``$2`` …

    ``read``: the rows were read from their table, at the position they carry, and are no changes of the stream.
    Columns left out keep their stored value. One prepared statement serves every number of rows. A temporary table
    filled by COPY is 10 % cheaper for 10,000 rows and twice as dear for ten.
    """
    typed = [(quote(c.name), c.type_name) for c in columns] + list(VERSION)
    names = ", ".join(name for name, _ in typed)
    values = ", ".join(f"c{i}::{type_name}" for i, (_, type_name) in enumerate(typed))
    arrays = ", ".join(f"${i + 1}::text[]" for i in range(len(typed)))
    aliases = ", ".join(f"c{i}" for i in range(len(typed)))
    quoted_key = {quote(name) for name in key}
    assignments = ", ".join(f"{name} = excluded.{name}" for name, _ in typed if name not in quoted_key)
    wins = (
        "(t._lsn, t._seq) < (excluded._lsn, excluded._seq)"
        if read
        else f"t._seq <> {REREAD} or t._lsn <= excluded._lsn"
    )
    return (
        f"insert into {qualified(source_schema, table)} as t ({names})"
        f" select {values} from unnest({arrays}) as u({aliases})"
        f" on conflict ({', '.join(map(quote, key))}) do update set {assignments}"
        f" where {wins}"
    )


def truncate_sql(source_schema: str, table: str) -> str:
    """Flags every row that is not newer; ``$1`` to ``$3`` are LSN, seq and commit time."""
    return (
        f"update {qualified(source_schema, table)} set _deleted = true, _lsn = $1::text::pg_lsn,"
        " _seq = $2::text::integer, _committed_at = $3::text::timestamptz"
        " where not _deleted and (_lsn, _seq) < ($1::text::pg_lsn, $2::text::integer)"
    )


def stored_sql(source_schema: str, table: str, wanted: Iterable[str], key: Sequence[MirrorColumn]) -> str:
    """The stored text of some columns of one row; the key's text values are ``$1``, ``$2`` …"""
    columns = ", ".join(f"{quote(name)}::text" for name in wanted)
    condition = " and ".join(f"{quote(c.name)} = ${i + 1}::{c.type_name}" for i, c in enumerate(key))
    return f"select {columns} from {qualified(source_schema, table)} where {condition}"

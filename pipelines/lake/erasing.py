"""Takes what is said of a person out of history: change log, lake, catalogue, and the files that they leave behind.

Each function may be repeated; a process that is killed between two of them leaves work, never half a row.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg

from pipelines.lake.errors import StillVisible
from pipelines.lake.lease import Connection, writing
from pipelines.lake.loader import drain
from warehouse.lake.place import Lake, rows
from warehouse.lake.tables import CHANGES

SHORTEST: Final = 4
"""Bytes of a value that is searched for: shorter ones stand in every file by chance."""

VISIBLE_TIMEOUT: Final = 60.0
"""Seconds to wait for transactions that may still see what was erased: a reader's, or an analyze that had begun."""

_IMAGES: Final = ("before", "after")


@dataclass(frozen=True, slots=True)
class Subject:
    """A row of a source table that is about a person. ``key`` is jsonb's text; ``columns`` are those to be erased."""

    schema: str
    table: str
    key: str
    columns: tuple[str, ...]


def values(lake: Lake, subject: Subject) -> set[str]:
    """Every text that history holds of the person."""
    found: set[str] = set()
    with psycopg.connect(lake.log, autocommit=True) as log, lake.open() as session:
        for before, after in log.execute(
            "select before, after from log.change_log where key = %s::jsonb and schema_name = %s and table_name = %s",
            [subject.key, subject.schema, subject.table],
        ):
            found |= _texts(before, subject.columns) | _texts(after, subject.columns)
        for before, after in rows(
            session,
            "select before, after from lake.log.changes where schema_name = ? and table_name = ? and key = ?",
            [subject.schema, subject.table, subject.key],
        ):
            found |= _texts(_parsed(before), subject.columns) | _texts(_parsed(after), subject.columns)
    return found


def erase(lake: Lake, subject: Subject) -> int:
    """Empties the columns in every version of the row; how many versions. Then nothing refers to the old files.

    Raises LakeTaken, StillVisible, LakeError, psycopg.Error.
    """
    drain(lake)
    with writing(lake.log) as log:
        partitions = _erase_log(log, subject)
        with lake.open(writable=True) as session:
            erased = _erase_lake(log, session, subject)
            session.execute(
                "call ducklake_rewrite_data_files('lake', 'changes', schema => 'log', delete_threshold => 0)"
            )
            session.execute("call ducklake_expire_snapshots('lake', older_than => now())")
            session.execute("call ducklake_cleanup_old_files('lake', cleanup_all => true)")
            session.execute("call ducklake_delete_orphaned_files('lake', cleanup_all => true)")
        _erase_statistics(log)
        for relation in (*partitions, "log.parked", *_STATISTICS):
            vacuum(log, relation)
    return erased


_STATISTICS: Final = ("lake.ducklake_file_column_stats", "lake.ducklake_table_column_stats")


def vacuum(connection: psycopg.Connection[Any], relation: str) -> None:
    """Writes the table anew, so that no page holds a row that is gone, and so are the planner's samples of it.

    Rows that somebody may still see would be written, too: raises StillVisible if there is somebody for long.
    """
    _await_visible_to_none(connection, relation)
    connection.execute(f"vacuum (full, analyze) {relation}".encode())


_OLDER: Final = """
select format('session %%s of %%s (%%s)', pid, coalesce(usename, 'the server'), application_name)
from pg_stat_activity
where
  pid <> pg_backend_pid()
  -- Snapshots count in their own database; a transaction that writes counts everywhere, by everybody's snapshots.
  and (datname = current_database() and age(backend_xmin) > age(%(now)s::xid) or age(backend_xid) > age(%(now)s::xid))
  -- A plain vacuum looks at no row for long: PostgreSQL leaves it out.
  and pid not in (select pid from pg_stat_progress_vacuum)
union all
select format('prepared transaction %%s', gid) from pg_prepared_xacts where age(transaction) > age(%(now)s::xid)
"""


def _await_visible_to_none(connection: psycopg.Connection[Any], relation: str) -> None:
    """Waits until everybody sees what is committed now, and so nobody what was deleted before."""
    ((now,),) = connection.execute("select pg_current_xact_id()::xid::text").fetchall()
    deadline = time.monotonic() + VISIBLE_TIMEOUT
    while older := [str(who) for (who,) in connection.execute(_OLDER.encode(), {"now": now})]:
        if time.monotonic() > deadline:
            raise StillVisible(relation, older, waited=VISIBLE_TIMEOUT)
        time.sleep(0.05)


def _erase_log(log: Connection, subject: Subject) -> list[str]:
    """Rewrites change log and parked changes; the partitions that held any."""
    where = "key = %(key)s::jsonb and schema_name = %(schema)s and table_name = %(table)s"
    parameters = {
        "key": subject.key,
        "schema": subject.schema,
        "table": subject.table,
        "columns": list(subject.columns),
    }
    with log.transaction():
        days = log.execute(
            "update log.change_log set before = ops.erased(before, %(columns)s::text[]),"
            f" after = ops.erased(after, %(columns)s::text[]) where {where}"
            " returning tableoid::regclass::text".encode(),
            parameters,
        ).fetchall()
        log.execute(
            f"update log.parked set after = ops.erased(after, %(columns)s::text[]) where {where}".encode(), parameters
        )
    return sorted({str(day) for (day,) in days})


def _erase_lake(log: Connection, session: Any, subject: Subject) -> int:
    """Replaces the row's versions in one DuckLake transaction; the new text is PostgreSQL's own, as the log has it."""
    session.execute("begin")
    where = "schema_name = ? and table_name = ? and key = ?"
    named = [subject.schema, subject.table, subject.key]
    found = rows(session, f"select {CHANGES} from lake.log.changes where {where}", named)
    columns = CHANGES.split(", ")
    places = [columns.index(image) for image in _IMAGES]
    rewritten = []
    for row in found:
        line = list(row)
        for place in places:
            if line[place] is not None:
                erased = log.execute(
                    "select ops.erased(%s::jsonb, %s)::text", [line[place], list(subject.columns)]
                ).fetchone()
                line[place] = erased[0] if erased else None
        rewritten.append(line)
    if any(list(row) != line for row, line in zip(found, rewritten, strict=True)):
        session.execute(f"delete from lake.log.changes where {where}", named)
        marks = ", ".join("?" * len(columns))
        session.executemany(f"insert into lake.log.changes ({CHANGES}) values ({marks})", rewritten)
    session.execute("commit")
    return len(found)


def _erase_statistics(log: Connection) -> None:
    """The catalogue keeps the smallest and largest image of each file and table, and never forgets a table's."""
    for table in _STATISTICS:
        log.execute(
            f"update {table} as known set min_value = null, max_value = null from lake.ducklake_column as named"
            " where known.table_id = named.table_id and known.column_id = named.column_id"
            " and named.column_name = any(%s) and (min_value is not null or max_value is not null)".encode(),
            [list(_IMAGES)],
        )


def blanked(document: Any, identity: str, columns: Sequence[str]) -> Any:
    """``document`` (JSON) with these members null in every object that carries the identity."""
    if isinstance(document, list):
        return [blanked(item, identity, columns) for item in document]
    if not isinstance(document, dict):
        return document
    about = identity in [value for value in document.values() if isinstance(value, str)]
    return {
        name: None if about and name in columns else blanked(value, identity, columns)
        for name, value in document.items()
    }


def files_with(places: Iterable[Path], texts: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Files below these directories that hold one of the texts in their bytes, but for those shorter than SHORTEST.

    Parquet files are decoded, too: their pages are compressed.
    """
    wanted = {text: text.encode() for text in texts if len(text.encode()) >= SHORTEST}
    if not wanted:
        return
    for place in places:
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.is_symlink():
                content = _content(path)
                yield from ((path, text) for text, needle in wanted.items() if needle in content)


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError:  # deleted meanwhile
        return b""
    if path.suffix != ".parquet":
        return raw
    import duckdb

    with duckdb.connect() as session:
        decoded = session.execute("select * from read_parquet(?)", [str(path)]).fetchall()
    return raw + "\n".join(str(value) for row in decoded for value in row).encode()


def _texts(image: dict[str, Any] | None, columns: Sequence[str]) -> set[str]:
    """The texts of these columns; of a JSON object (custom fields) those within it."""
    found: set[str] = set()
    for column in columns:
        value = (image or {}).get(column)
        if isinstance(value, str):
            found |= _strings(_json(value)) if value[:1] in "{[" else {value}
    return {text for text in found if text.strip()}


def _strings(document: Any) -> set[str]:
    if isinstance(document, str):
        return {document}
    items = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return {text for item in items for text in _strings(item)}


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _parsed(image: str | None) -> dict[str, Any] | None:
    return None if image is None else orjson.loads(image)

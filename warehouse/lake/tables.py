"""The lake's own tables: changes, audit messages, and the ranges that were loaded."""

from __future__ import annotations

from typing import Final

import duckdb
import psycopg

from warehouse.lake.place import OWNER, SCHEMA, Lake, rows

CHANGES: Final = (
    "landed_on, batch_id, source, epoch, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at,"
    " commit_no"
)
"""Columns of ``log.changes``, in its order; ``lsn`` is a number, images and keys are jsonb's canonical text."""

CHANGES_FROM_LOG: Final = (
    "landed_on, batch_id, source, epoch, xid, (lsn - '0/0')::bigint as lsn, seq, op::text, schema_name, table_name,"
    " key::text, before::text, after::text, committed_at, commit_no"
)
"""The same columns as PostgreSQL selects them from ``log.change_log``."""

TRANSACTIONS: Final = (
    "landed_on, landed_no, source, epoch, xid, lsn, seq, committed_at, actor, actor_name, command, request_id, reason,"
    " content"
)
TRANSACTIONS_FROM_LOG: Final = (
    "landed_on, landed_no, source, epoch, xid, (lsn - '0/0')::bigint as lsn, seq, committed_at, actor::text,"
    " actor_name, command, request_id::text, reason, content::text"
)

_DDL: Final = {
    "log.changes": (
        "create table lake.log.changes (landed_on date, batch_id bigint, source varchar, epoch integer, xid bigint,"
        " lsn bigint, seq integer, op varchar, schema_name varchar, table_name varchar, key varchar, before varchar,"
        " after varchar, committed_at timestamptz, commit_no integer)",
        # A file holds one table's day, so that files prune by table and a day's are few.
        "alter table lake.log.changes set partitioned by (schema_name, table_name, landed_on)",
        # A row's versions stand together, so that one row group answers for one row.
        "alter table lake.log.changes set sorted by (key asc, batch_id asc, lsn asc, seq asc)",
    ),
    "log.transactions": (
        "create table lake.log.transactions (landed_on date, landed_no bigint, source varchar, epoch integer,"
        " xid bigint, lsn bigint, seq integer, committed_at timestamptz, actor varchar, actor_name varchar,"
        " command varchar, request_id varchar, reason varchar, content varchar)",
        "alter table lake.log.transactions set partitioned by (landed_on)",
        "alter table lake.log.transactions set sorted by (xid asc, seq asc)",
    ),
    "log.ranges": (
        "create table lake.log.ranges (source varchar, from_batch bigint, to_batch bigint, batches integer,"
        " changes bigint, to_transaction bigint, transactions bigint, loaded_at timestamptz)",
    ),
}

_OPTIONS: Final = {
    "parquet_compression": "zstd",
    # One row's history reads a row group of each file: 8 ms of CPU a file, 11 ms at twice as many rows.
    "parquet_row_group_size": "10240",
    # A day of one table at 100 transactions a second is some 400 MB: seven files.
    "target_file_size": "64MB",
}


def make_tables(session: duckdb.DuckDBPyConnection) -> None:
    """Makes what is absent; ``session`` has the lake attached for writing."""
    standing = {
        f"{schema}.{table}"
        for schema, table in rows(
            session, "select schema_name, table_name from duckdb_tables() where database_name = 'lake'"
        )
    }
    if set(_DDL) <= standing:
        _add_columns(session)
        return
    session.execute("begin")
    session.execute("create schema if not exists lake.log")
    for table, statements in _DDL.items():
        if table not in standing:
            for statement in statements:
                session.execute(statement)
    session.execute("commit")
    for name, option in _OPTIONS.items():
        session.execute(f"call lake.set_option('{name}', '{option}')")


def _add_columns(session: duckdb.DuckDBPyConnection) -> None:
    """What came later; null in the files before it. Asked first: altering makes a snapshot, even of nothing."""
    known = rows(
        session,
        "select 1 from duckdb_columns() where database_name = 'lake' and schema_name = 'log' and table_name = 'changes'"
        " and column_name = 'commit_no'",
    )
    if not known:
        session.execute("alter table lake.log.changes add column commit_no integer")


def prepare(lake: Lake, superuser: psycopg.Connection[tuple[object, ...]], readers_of_all: list[str]) -> None:
    """Catalogue, tables, the loader's queue, and who may read. Running it again changes nothing.

    ``superuser`` is connected to the warehouse database, where the role OWNER exists. ``readers_of_all`` are the roles
    of people who may see every row of everything: files know no row security, so nobody else may find them.
    """
    with superuser.transaction():
        superuser.execute(f"create schema if not exists {SCHEMA} authorization {OWNER}".encode())
        superuser.execute(f"grant connect, temporary on database {_database(superuser)} to {OWNER}".encode())
        superuser.execute(f"grant {OWNER} to wh_owner".encode())
    with lake.open(writable=True) as session:
        make_tables(session)
    # Where analysts find the files when the directory was moved.
    superuser.execute(
        f"update {SCHEMA}.ducklake_metadata set value = %s where key = 'data_path'".encode(), [f"{lake.data}/"]
    )
    secure(superuser, readers_of_all)
    register(superuser)


def secure(superuser: psycopg.Connection[tuple[object, ...]], readers_of_all: list[str]) -> None:
    """Lets the read API and those analysts read the catalogue whose role may read every row.

    Row security on each of its tables asks who reads, statement by statement: to anybody else the lake has no files.
    """
    roles = ", ".join(f"'{role}'" for role in sorted(readers_of_all))
    condition = f"session_user = 'wh_api' or (select ops.reader_has_role(array[{roles}]::text[]))"
    with superuser.transaction():
        superuser.execute(f"grant usage on schema {SCHEMA} to wh_api, wh_analyst".encode())
        for (table,) in superuser.execute(
            "select table_name from information_schema.tables where table_schema = %s", [SCHEMA]
        ).fetchall():
            superuser.execute(
                "select ops.secure(%s::regclass, 'wh_api, wh_analyst', %s)", [f'{SCHEMA}."{table}"', condition]
            )


def register(superuser: psycopg.Connection[tuple[object, ...]]) -> None:
    """The loader's queue; what landed before it was there is queued at once."""
    with superuser.transaction():
        new = superuser.execute(
            "insert into log.consumer (name) values ('lake') on conflict do nothing returning name"
        ).fetchone()
        if new is not None:
            superuser.execute(
                "insert into log.queue (consumer, batch_id) select 'lake', batch_id from log.batch"
                " on conflict do nothing"
            )


def _database(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    return '"' + connection.info.dbname.replace('"', '""') + '"'

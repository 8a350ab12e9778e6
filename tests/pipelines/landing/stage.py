"""A source database, a warehouse database, and landing between them; and the comparison that every test ends with."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cdc import ddl
from headwater.config import Config
from headwater.embedded.postgres import Cluster
from pipelines.landing.worker import SourceDatabase, run
from pipelines.runtime import Heartbeat
from tests.cdc.database import Database

DEADLINE = 90.0
_numbers = itertools.count(1)


@dataclass
class WarehouseDatabase:
    """A copy of the provisioned warehouse."""

    cluster: Cluster
    name: str
    password: str
    _kept: psycopg.Connection[Any] | None = None

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name, user="wh_owner", password=self.password)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn, autocommit=True)

    def run(self, *statements: str, parameters: list[Any] | None = None) -> list[Any]:
        """Executes each statement in autocommit; the last one's rows. Keeps its connection: logging in takes 10 ms."""
        if self._kept is None or self._kept.broken or self._kept.closed:
            self._kept = self.connect()
        try:
            for statement in statements:
                cursor = self._kept.execute(statement.encode(), parameters)
        except psycopg.OperationalError:
            if not self._kept.broken:
                raise
            return self.run(*statements, parameters=parameters)  # the server was restarted
        return cursor.fetchall() if cursor.description else []

    @contextmanager
    def listen(self, channel: str) -> Iterator[Callable[[], bool]]:
        """Gives a function that waits for a notification and says whether one came."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"listen {channel}".encode())
            yield lambda: next(connection.notifies(timeout=DEADLINE, stop_after=1), None) is not None

    def drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
        with self.cluster.connect() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self.name)))


def copy_warehouse(cluster: Cluster, config: Config) -> WarehouseDatabase:
    name = f"warehouse_{next(_numbers)}"
    with cluster.connect() as connection:
        connection.execute(sql.SQL("create database {} template warehouse owner wh_owner").format(sql.Identifier(name)))
    return WarehouseDatabase(cluster, name, config.passwords["wh_owner"])


class Stage:
    """Landing of one source, named ``test``, in a thread of this process."""

    def __init__(self, database: Database, target: WarehouseDatabase) -> None:
        self.database = database
        self.target = target
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def prepare(self, *statements: str, publish: tuple[str, ...]) -> None:
        """Tables made before anything is landed, with the trigger that tells of their changes."""
        self.database.run(*statements)
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            ddl.install(connection)
        self.database.publish(*publish)

    @property
    def source(self) -> SourceDatabase:
        database = self.database
        return SourceDatabase(
            "test", database.dsn, database.spool_dir, slot=database.slot, publications=(database.publication,)
        )

    @property
    def heartbeat_file(self) -> Any:
        return self.database.spool_dir.parent / "landing.json"

    def sibling(self, name: str, table: str) -> SourceDatabase:
        """The same database as another source, with a slot and a publication of its own."""
        publication = f"{self.database.publication}_{name}"
        self.database.run(f"create publication {publication} for table {table}")
        return replace(self.source, name=name, slot=f"{self.database.slot}_{name}", publications=(publication,))

    @contextmanager
    def small_disk(self, cluster: Cluster, directory: Path, *, megabytes: int) -> Iterator[Path]:
        """A file system in memory that holds the mirrors and the change log until the block ends."""
        directory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", directory], check=True)
        data = directory / "data"
        data.mkdir()
        cluster.account.own(data)
        name = f"small_{self.target.name}"
        try:
            with cluster.connect() as connection:
                connection.execute(f"create tablespace {name} location '{data}'".encode())
            moved = self.target.run(
                "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " where c.relkind = 'r' and (n.nspname like 'raw_%' or c.relname like 'change_log_2%')"
            )
            with cluster.connect(self.target.name) as connection:
                for (table,) in moved:
                    connection.execute(f"alter table {table} set tablespace {name}".encode())
            yield directory
        finally:
            self.close()
            self.target.drop()
            with cluster.connect() as connection:
                connection.execute(f"drop tablespace if exists {name}".encode())
            subprocess.run(["umount", directory], check=True)

    def start(self, *others: SourceDatabase) -> None:
        self._stop.clear()
        self._failure = None

        def land() -> None:
            try:
                run(
                    [self.source, *others],
                    self.target.dsn,
                    Heartbeat(self.heartbeat_file, "landing", every=0),
                    self._stop,
                )
            except BaseException as failure:
                self._failure = failure

        self._thread = threading.Thread(target=land)
        self._thread.start()

    def streaming(self) -> Stage:
        """Starts, and waits until the initial load is done and changes stream."""
        self.start()
        self.wait_for(lambda: self.state() == "streaming", "the stream")
        return self

    def state(self, source: str = "test") -> str | None:
        rows = self.target.run("select state from log.source_state where source = %s", parameters=[source])
        return rows[0][0] if rows else None

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def caught_up(self) -> None:
        """Waits until what is committed at this moment has been stored."""
        ((now,),) = self.database.run("select pg_current_wal_insert_lsn()")
        # An idle source moves on only when its server says so; a message gives it something to store.
        self.database.run("select pg_logical_emit_message(true, 'test.mark', '')")
        self.wait_for(
            lambda: self.target.run("select 1 from log.position where source = 'test' and lsn >= %s", parameters=[now]),
            f"position {now}",
        )

    def settled(self) -> None:
        """Caught up, with every table that had to be read (again) read."""
        self.caught_up()
        self.wait_for(
            lambda: self.target.run("select count(*) from log.snapshot where finished_at is null") == [(0,)], "re-reads"
        )
        self.caught_up()

    def wait_for(self, condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            if self._failure is not None:
                raise self._failure
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}; {self.heartbeat_text()}"
            time.sleep(0.02)

    def heartbeat_text(self) -> str:
        try:
            return self.heartbeat_file.read_text()
        except OSError:
            return "no heartbeat"

    def source_rows(self, table: str, columns: str = "*") -> list[Any]:
        """The rows of ``schema.table`` at the source, as text."""
        return sorted(
            r[0] for r in self.database.run(f"select row({columns})::text from {table} t".replace("*", "t.*"))
        )

    def mirror_rows(self, table: str) -> list[Any]:
        """The living rows of the mirror, the source's columns in the source's order, as text."""
        schema, name = table.split(".")
        names = self.database.run(
            "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute"
            f" where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
        )[0][0]
        rows = self.target.run(f"select row({names})::text from raw_{schema}.{name} where not _deleted")
        return sorted(r[0] for r in rows)

    def assert_equal(self, *tables: str) -> None:
        """The mirror is the source, row by row."""
        for table in tables:
            assert self.mirror_rows(table) == self.source_rows(table), table

    def assert_each_change_once(self) -> None:
        ((total, distinct),) = self.target.run(
            "select count(*), count(distinct (source, epoch, xid, lsn, seq)) from log.change_log where op <> 'r'"
        )
        assert total == distinct
        ((doubled,),) = self.target.run(
            "select count(*) from (select from log.change_log where op = 'r'"
            " group by source, epoch, schema_name, table_name, key, lsn, seq having count(*) > 1) d"
        )
        assert doubled == 0

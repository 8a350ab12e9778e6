"""A fresh database with slot, publication and source on demand, and readers that wait with a deadline."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cdc.events import Batch, ChangeEvent, Item, Message, SchemaChange
from cdc.positions import Position
from cdc.publications import ensure_publication
from cdc.slots import create_slot, drop_slot
from cdc.sources.slot import Limits, SlotSource
from headwater.embedded.postgres import Cluster

DEADLINE = 90.0
_numbers = itertools.count(1)


@dataclass
class Database:
    """A fresh database; ``slot`` and ``publication`` are named after it."""

    cluster: Cluster
    name: str
    spool_dir: Path
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    @property
    def slot(self) -> str:
        return f"slot_{self.name}"

    @property
    def publication(self) -> str:
        return f"pub_{self.name}"

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        return self.resources.enter_context(psycopg.connect(self.dsn, autocommit=True, **options))

    def run(self, *statements: str) -> list[Any]:
        """Executes each statement in autocommit; the last one's rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def publish(self, *tables: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            ensure_publication(connection, self.publication, tables)

    def make_slot(self) -> int:
        return create_slot(self.dsn, self.slot)

    def source(self, **options: Any) -> SlotSource:
        """A source on this database's slot, closed at the test's end; not started."""
        limits = options.pop("limits", Limits(idle_seconds=3600))
        source = SlotSource(
            "test",
            self.dsn,
            slot=options.pop("slot", self.slot),
            publications=options.pop("publications", [self.publication]),
            spool_dir=self.spool_dir,
            limits=limits,
            **options,
        )
        self.resources.callback(source.close)
        return source

    def confirmed_lsn(self) -> str:
        return self.run(f"select confirmed_flush_lsn::text from pg_replication_slots where slot_name = '{self.slot}'")[
            0
        ][0]

    def drop(self) -> None:
        self.resources.close()
        with self.cluster.connect() as connection:
            slots = connection.execute(
                "select slot_name from pg_replication_slots where database = %s", [self.name]
            ).fetchall()
            for (slot,) in slots:
                drop_slot(self.cluster.dsn(), str(slot), timeout=120)  # a connector's task leaves it at leisure
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self.name)))


def make_database(cluster: Cluster, spool_dir: Path) -> Database:
    name = f"cdc_{next(_numbers)}"
    with cluster.connect() as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        # Only flushed WAL is streamed; the suite's clusters flush lazily otherwise.
        connection.execute(sql.SQL("alter database {} set synchronous_commit = on").format(sql.Identifier(name)))
    return Database(cluster, name, spool_dir)


def read_until(source: SlotSource, enough: Callable[[list[Batch]], bool], *, max_changes: int = 10_000) -> list[Batch]:
    """Reads batches until ``enough`` of them, or fails after the deadline."""
    deadline = time.monotonic() + DEADLINE
    batches: list[Batch] = []
    while not enough(batches):
        assert time.monotonic() < deadline, f"only {batches} after {DEADLINE} s"
        batch = source.read(max_changes, 0.5)
        if batch is not None:
            batches.append(batch)
    return batches


def read_changes(source: SlotSource, count: int, **options: Any) -> list[ChangeEvent]:
    """At least ``count`` row changes, in order."""
    batches = read_until(source, lambda got: sum(batch.changes for batch in got) >= count, **options)
    return [item for item in items_of(batches) if isinstance(item, ChangeEvent)]


def items_of(batches: Sequence[Batch]) -> list[Item]:
    return [item for batch in batches for transaction in batch.transactions for item in transaction.items]


def schema_changes(items: Sequence[Item]) -> list[SchemaChange]:
    return [item for item in items if isinstance(item, SchemaChange)]


def messages(items: Sequence[Item]) -> list[Message]:
    return [item for item in items if isinstance(item, Message)]


def last_position(batches: Sequence[Batch]) -> Position:
    return batches[-1].position


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of ``condition``, asked until the deadline."""
    deadline = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {DEADLINE} s for {what}"
        time.sleep(0.02)

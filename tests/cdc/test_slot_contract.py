"""The replication slot fulfils the contract of a source, and so it does where the catalogue is polled beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
import pytest

from cdc import polling
from cdc.sources.polled import PolledSource
from cdc.sources.port import Source
from cdc.sources.slot import SlotSource
from tests.cdc.database import Database
from tests.cdc.source_contract import SourceContract


@dataclass
class SlotHarness:
    database: Database

    def commit(self, *statements: str) -> None:
        self._transaction(statements, rollback=False)

    def roll_back(self, *statements: str) -> None:
        self._transaction(statements, rollback=True)

    def _transaction(self, statements: tuple[str, ...], *, rollback: bool) -> None:
        with psycopg.connect(self.database.dsn) as connection, connection.transaction(force_rollback=rollback):
            for statement in statements:
                connection.execute(statement.encode())

    def source(self) -> Source:
        return self.database.source()


@dataclass
class PolledHarness(SlotHarness):
    known: Mapping[int, polling.Description]

    def source(self) -> Source:
        def open_slot(keys: Mapping[int, tuple[str, ...]]) -> SlotSource:
            return self.database.source(known_keys=keys)

        return PolledSource(self.database.dsn, (self.database.publication,), open_slot, lambda: self.known)


def prepare(database: Database) -> Database:
    database.run("create table item (id int primary key, name text)", "alter table item replica identity full")
    database.publish("public.item")
    database.make_slot()
    return database


class TestSlotSource(SourceContract):
    @pytest.fixture
    def harness(self, database: Database) -> SlotHarness:
        return SlotHarness(prepare(database))


class TestPolledSource(SourceContract):
    @pytest.fixture
    def harness(self, database: Database) -> PolledHarness:
        prepare(database)
        with database.connect() as connection:
            return PolledHarness(database, polling.look(connection, [database.publication]).tables)

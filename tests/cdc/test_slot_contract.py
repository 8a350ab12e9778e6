"""The replication slot fulfils the contract of a source."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest

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

    def source(self) -> SlotSource:
        return self.database.source()


class TestSlotSource(SourceContract):
    @pytest.fixture
    def harness(self, database: Database) -> SlotHarness:
        database.run("create table item (id int primary key, name text)", "alter table item replica identity full")
        database.publish("public.item")
        database.make_slot()
        return SlotHarness(database)

"""The stream's order is that of commits, whatever the order in which the changes of a row stand in the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.pipelines.landing.stage import Stage

# The unique index is older than the primary key's: an insert asks it first, and waits there for who has the value.
ITEM = """
create schema stock;
create table stock.item (id int, sku text unique, name text);
alter table stock.item add primary key (id);
alter table stock.item replica identity full;
insert into stock.item values (1, 'old', 'first'), (2, 'kept', 'second')
"""


@contextmanager
def insert_waiting_for_its_place(stage: Stage) -> Iterator[None]:
    """Inside the block the row 1 that takes the old one's place is in the log, uncommitted; after it, it is there."""
    database = stage.database
    with psycopg.connect(database.dsn) as holder, psycopg.connect(database.dsn) as inserter:
        holder.execute("insert into stock.item values (99, 'wanted', 'never')")
        insert = threading.Thread(target=inserter.execute, args=["insert into stock.item values (1, 'wanted', 'new')"])
        insert.start()
        waits = f"pid = {inserter.info.backend_pid} and wait_event = 'transactionid'"
        stage.wait_for(lambda: database.run(f"select 1 from pg_stat_activity where {waits}"), "the insert to wait")
        yield
        holder.rollback()
        insert.join()
        inserter.commit()


@pytest.mark.parametrize("together", [True, False], ids=["one-batch", "two-batches"])
def test_a_row_inserted_before_its_predecessor_was_deleted_is_there(stage: Stage, together: bool) -> None:
    """The insert writes its row, waits at an index, and finds the key free once the old row is deleted."""
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    if together:
        stage.stop()
    with insert_waiting_for_its_place(stage):
        stage.database.run("delete from stock.item where id = 1")
        if not together:
            stage.caught_up()
    if together:
        stage.start()
    stage.settled()
    changes = stage.target.run(
        "select op::text from log.change_log where key = '{\"id\": \"1\"}' and op <> 'r' order by lsn"
    )
    assert changes == [("c",), ("d",)], "the insert stands first in the log"
    stage.assert_equal("stock.item")
    stage.assert_each_change_once()


def test_a_row_that_was_read_again_gives_way_to_both(stage: Stage) -> None:
    """The re-read finds the old row, and its stamp lies between the two changes that follow."""
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.database.run("alter table stock.item alter name type varchar(40)")
    with insert_waiting_for_its_place(stage):
        stage.settled()
        stage.database.run("delete from stock.item where id = 1")
        stage.caught_up()
    stage.settled()
    stage.assert_equal("stock.item")

"""A full rebuild beside the running lane: a table swap loses nothing that landed meanwhile."""

from __future__ import annotations

import threading
from decimal import Decimal
from uuid import uuid4

from pipelines.refresh.lane import Lane
from pipelines.refresh.program import HotModel, Program
from tests.marts import ACME, GLOBEX, ORDER, Marts, dbt_target, differences, drain, order
from tests.mirror import Connection, Stream, put
from warehouse.compile import build


class Rebuild:
    """dbt's steps of one model's rebuild, one at a time, over a connection of its own."""

    def __init__(self, connection: Connection, model: HotModel) -> None:
        self._connection = connection
        self._schema, self._name = (part.strip('"') for part in model.relation.split("."))
        self._model = model

    def begin(self) -> None:
        self._connection.execute("select ops.begin_rebuild(%s, %s)", [self._schema, self._name])

    def read(self) -> None:
        self._connection.execute("begin")
        self._connection.execute(f"create table {self._schema}.rebuilt (like {self._model.relation} including all)")
        into = self._model.insert_all.replace(self._model.relation, f"{self._schema}.rebuilt", 1)
        self._connection.execute(into.encode())

    def swap(self) -> None:
        self.swap_uncommitted()
        self.commit()

    def swap_uncommitted(self) -> None:
        self._connection.execute(f"drop table {self._model.relation}".encode())
        self._connection.execute(f"alter table {self._schema}.rebuilt rename to {self._name}".encode())
        self._connection.execute("select ops.finish_rebuild(%s, %s)", [self._schema, self._name])

    def commit(self) -> None:
        self._connection.execute("commit")


def model(program: Program, name: str) -> HotModel:
    return next(m for m in program.models if m.name == name)


def test_what_the_lane_took_meanwhile_is_taken_again(
    marts: Marts, owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    with marts.connect() as connection:
        rebuild = Rebuild(connection, model(program, "fct_sales_order"))
        stream.commit(order(uuid4(), ACME, number="SO-1"))
        drain(lane)
        rebuild.begin()
        rebuild.read()
        batch = stream.commit(order(ORDER, GLOBEX, number="SO-000001", freight=Decimal(7)))
        drain(lane)
        assert differences(owner, program) == []
        rebuild.swap()
    assert differences(owner, program) != [], "the rebuild read before the batch landed"
    assert owner.execute("select batch_id from log.queue where consumer = 'refresh'").fetchall() == [(batch,)]
    drain(lane)
    assert differences(owner, program) == []


def test_what_stands_on_the_rebuilt_model_comes_right_too(
    marts: Marts, owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    """c360 is rebuilt from orders that were swapped in without the batch, before the lane has taken it again."""
    with marts.connect() as connection:
        orders = Rebuild(connection, model(program, "fct_sales_order"))
        orders.begin()
        orders.read()
        stream.commit(order(uuid4(), GLOBEX, number="SO-2"))
        drain(lane)
        orders.swap()
        c360 = Rebuild(connection, model(program, "c360_account"))
        c360.begin()
        c360.read()
        drain(lane)
        c360.swap()
    drain(lane)
    assert differences(owner, program) == []


def test_a_rebuild_that_died_leaves_no_trace(
    marts: Marts, owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    with marts.connect() as connection:
        Rebuild(connection, model(program, "fct_sales_order")).begin()
    stream.commit(order(uuid4(), GLOBEX, number="SO-2"))
    drain(lane)
    with marts.connect() as connection:
        rebuild = Rebuild(connection, model(program, "fct_sales_order"))
        rebuild.begin()
        rebuild.read()
        rebuild.swap()
    assert owner.execute("select count(*) from log.queue where consumer = 'refresh'").fetchone() == (0,)
    assert owner.execute(
        "select (select count(*) from ops.rebuild), (select count(*) from ops.rebuild_batch)"
    ).fetchone() == (0, 0)


def test_a_pass_that_meets_a_swap_works_on_the_new_table(
    marts: Marts, owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    """Its snapshot is younger than the swap it waited for: the rows of the new table are there for it."""
    stream.commit(order(ORDER, GLOBEX, number="SO-000001", freight=Decimal(3)))
    with marts.connect() as connection:
        rebuild = Rebuild(connection, model(program, "fct_sales_order"))
        rebuild.begin()
        rebuild.read()
        rebuild.swap_uncommitted()
        passing = threading.Thread(target=lane.run_pass)
        passing.start()
        _until_blocked(owner, "lock table", passing)
        rebuild.commit()
        passing.join(timeout=30)
    drain(lane)
    assert differences(owner, program) == []
    assert owner.execute("select count(*) from ops.parked_key").fetchone() == (0,)


def _until_blocked(owner: Connection, query: str, thread: threading.Thread) -> None:
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like %s"
    while owner.execute(waiting, [f"%{query}%"]).fetchone() == (0,):
        assert thread.is_alive()


def test_the_start_of_a_rebuild_waits_for_the_pass_under_way(marts: Marts, owner: Connection, program: Program) -> None:
    """Else a batch could be refreshed unrecorded by a transaction that the rebuild does not see yet."""
    with marts.connect() as lane, marts.connect() as connection:
        lane.execute("begin")
        lane.execute("lock table marts.fct_sales_order in row exclusive mode")
        rebuild = Rebuild(connection, model(program, "fct_sales_order"))
        waiting = threading.Thread(target=rebuild.begin)
        waiting.start()
        blocked = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%begin_rebuild%'"
        )
        while owner.execute(blocked.encode()).fetchone() == (0,):
            assert waiting.is_alive()
        lane.execute("commit")
        waiting.join(timeout=30)
        assert not waiting.is_alive()


def test_the_day_that_moves_during_a_rebuild_is_caught_up_with(
    marts: Marts, owner: Connection, lane: Lane, program: Program
) -> None:
    owner.execute("update ops.as_of set as_of = as_of - 1, pinned = false")
    with marts.connect() as connection:
        rebuild = Rebuild(connection, model(program, "c360_account"))
        rebuild.begin()
        rebuild.read()
        drain(lane)
        rebuild.swap()
    assert differences(owner, program) != []
    drain(lane)
    assert differences(owner, program) == []


def test_dbt_rebuilds_everything_while_batches_land(
    marts: Marts, owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    failed: list[BaseException] = []

    def rebuild() -> None:
        try:
            build(marts.dsn(), tests=False, target=dbt_target("run"))
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=rebuild)
    running.start()
    number = 0
    while running.is_alive():
        number += 1
        stream.commit(
            order(uuid4(), ACME if number % 2 else GLOBEX, number=f"SO-{number}", freight=Decimal(number)),
            put("contacts.account", account_uuid=GLOBEX, account_number="AC-000003", name=f"Globex {number}"),
        )
        drain(lane)
    running.join()
    assert failed == []
    assert number > 10
    drain(lane)
    assert differences(owner, program) == []
    assert owner.execute("select count(*) from marts.fct_sales_order").fetchone() == (number + 1,)
    secured = owner.execute(
        "select bool_and(rowsecurity) from pg_tables where schemaname in ('marts', 'reporting')"
    ).fetchone()
    assert secured == (True,)

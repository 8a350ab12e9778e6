"""What a landed batch does to the hot marts: a write, a move, a deletion, and everything that hangs on them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipelines.refresh.errors import MartsMissing
from pipelines.refresh.lane import Lane
from pipelines.refresh.program import HotModel, Program
from tests.marts import (
    ACME,
    ACME_EAST,
    BIKE,
    BIKES,
    GLOBEX,
    NORTH,
    ORDER,
    ORDER_LINE,
    PERSON,
    Marts,
    differences,
    drain,
    line,
    order,
)
from tests.mirror import Connection, Stream, delete, put, truncate


def one(owner: Connection, query: str, *parameters: Any) -> Any:
    row = owner.execute(query.encode(), parameters).fetchone()
    return row if row is None or len(row) > 1 else row[0]


def c360(owner: Connection, account: UUID) -> tuple[Any, ...]:
    return one(
        owner,
        "select order_count, lifetime_total_due, contact_count, child_count from reporting.c360_account"
        " where account_uuid = %s",
        account,
    )


@pytest.fixture(autouse=True)
def _always_equal_to_a_full_build(owner: Connection, program: Program):
    yield
    assert differences(owner, program) == []


def test_an_order_reaches_every_mart_in_one_pass(owner: Connection, stream: Stream, lane: Lane) -> None:
    new = uuid4()
    batch = stream.commit(
        order(new, GLOBEX, number="SO-000002", day=date(2024, 6, 1), sub_total=Decimal(50), freight=Decimal(5)),
        line(uuid4(), new, quantity=Decimal(5), unit_price=Decimal(10)),
    )
    done = lane.run_pass()
    assert done.batches == 1
    assert done.rebuilt == []
    assert one(owner, "select total_due, line_net_total from marts.fct_sales_order where order_id = %s", new) == (
        55,
        50,
    )
    assert one(owner, "select order_count from marts.agg_sales_daily where order_date = '2024-06-01'") == 1
    assert c360(owner, GLOBEX)[:2] == (1, 55)
    assert not lane.is_due()
    assert one(owner, "select batch_id from ops.model_state where model = 'c360_account'") == batch


def test_an_order_moved_to_another_account_leaves_the_first(owner: Connection, stream: Stream, lane: Lane) -> None:
    stream.commit(order(ORDER, GLOBEX, number="SO-000001", day=date(2024, 5, 2)))
    lane.run_pass()
    assert c360(owner, ACME)[0] == 0
    assert c360(owner, GLOBEX)[0] == 1
    assert one(owner, "select count(*) from marts.agg_sales_daily where order_date = '2024-05-01'") == 0


def test_a_changed_line_moves_day_and_account(owner: Connection, stream: Stream, lane: Lane) -> None:
    stream.commit(line(ORDER_LINE, ORDER, quantity=Decimal(4), unit_price=Decimal(100)))
    lane.run_pass()
    assert one(owner, "select line_net_total from marts.agg_sales_daily where order_date = '2024-05-01'") == 400
    assert one(owner, "select lifetime_line_net from reporting.c360_account where account_uuid = %s", ACME) == 400


def test_a_deleted_order_is_gone_from_every_mart(owner: Connection, stream: Stream, lane: Lane) -> None:
    stream.commit(delete("orders.sales_order_line", id=ORDER_LINE), delete("orders.sales_order", id=ORDER))
    lane.run_pass()
    assert one(owner, "select count(*) from marts.fct_sales_order") == 0
    assert one(owner, "select count(*) from marts.fct_sales_order_line") == 0
    assert one(owner, "select count(*) from marts.agg_sales_daily") == 0
    assert c360(owner, ACME)[0] == 0


def test_the_hierarchy_follows_a_move_far_above(owner: Connection, stream: Stream, lane: Lane) -> None:
    deep = uuid4()
    stream.commit(put("contacts.account", account_uuid=deep, account_number="AC-4", name="Deep", parent_id=ACME_EAST))
    lane.run_pass()
    stream.commit(put("contacts.account", account_uuid=ACME, account_number="AC-000001", name="Acme", parent_id=GLOBEX))
    lane.run_pass()
    path = [GLOBEX, ACME, ACME_EAST, deep]
    assert one(owner, "select hierarchy_path from marts.dim_account where account_uuid = %s", deep) == path
    assert one(owner, "select hierarchy_depth from reporting.c360_account where account_uuid = %s", deep) == 3
    assert c360(owner, GLOBEX)[3] == 1


def test_a_child_that_leaves_is_no_longer_counted(owner: Connection, stream: Stream, lane: Lane) -> None:
    assert c360(owner, ACME)[3] == 1
    stream.commit(
        put("contacts.account", account_uuid=ACME_EAST, account_number="AC-000002", name="East", parent_id=None)
    )
    lane.run_pass()
    assert c360(owner, ACME)[3] == 0


def test_a_link_makes_a_person_count_and_deleting_the_person_ends_it(
    owner: Connection, stream: Stream, lane: Lane
) -> None:
    link = uuid4()
    stream.commit(put("contacts.account_contact", id=link, account_uuid=GLOBEX, contact_id=PERSON, role="Buyer"))
    lane.run_pass()
    assert c360(owner, GLOBEX)[2] == 1
    stream.commit(delete("contacts.contact", id=PERSON))
    lane.run_pass()
    assert c360(owner, GLOBEX)[2] == 0


def test_a_renamed_category_reaches_products_below_it(owner: Connection, stream: Stream, lane: Lane) -> None:
    stream.commit(put("inventory.product_category", id=BIKES, name="Cycles"))
    lane.run_pass()
    assert (
        one(owner, "select category_path from marts.dim_product where product_id = %s", BIKE) == "Cycles > Road bikes"
    )


def test_finance_moves_the_credit_that_is_left(owner: Connection, stream: Stream, lane: Lane) -> None:
    stream.commit(put("finance.account_profile", account_uuid=ACME, balance_due=Decimal(9000), on_credit_hold=True))
    lane.run_pass()
    found = one(
        owner, "select credit_available, on_credit_hold from reporting.c360_account where account_uuid = %s", ACME
    )
    assert found == (1000, True)


def test_a_truncated_table_empties_the_marts_that_stand_on_it(owner: Connection, stream: Stream, lane: Lane) -> None:
    stream.commit(truncate("orders.sales_order"), truncate("orders.sales_order_line"))
    done = lane.run_pass()
    assert "fct_sales_order" in done.rebuilt
    assert one(owner, "select count(*) from marts.fct_sales_order") == 0


def test_many_keys_are_refreshed_by_rebuilding_in_place(
    marts: Marts, owner: Connection, stream: Stream, program: Program
) -> None:
    stream.commit(*(order(uuid4(), ACME, number=f"SO-9{n}") for n in range(30)))
    security = one(owner, "select count(*) from pg_policies where schemaname in ('marts', 'reporting')")
    with marts.connect() as connection:
        done = Lane(connection, program, rebuild_above=10).run_pass()
    assert set(done.rebuilt) == {"fct_sales_order", "fct_sales_order_line"}
    assert one(owner, "select count(*) from pg_policies where schemaname in ('marts', 'reporting')") == security


def test_batches_of_several_sources_are_taken_in_any_order(owner: Connection, stream: Stream, lane: Lane) -> None:
    finance = Stream(owner, "finance")
    stream.commit(order(uuid4(), GLOBEX, number="SO-000002"))
    finance.commit(put("finance.account_profile", account_uuid=GLOBEX, balance_due=Decimal(1)))
    drain(lane)
    found = owner.execute("select source from ops.model_state where model = 'c360_account' order by 1").fetchall()
    assert found == [("finance",), ("headwater",)]


def test_a_group_of_batches_is_bounded(owner: Connection, stream: Stream, lane: Lane) -> None:
    for number in range(3):
        stream.commit(order(uuid4(), GLOBEX, number=f"SO-7{number}"))
    owner.execute("update log.batch set changes = 15000 where batch_id in (select batch_id from log.queue)")
    assert [done.batches for done in drain(lane)] == [2, 1]


def test_the_day_moves_with_the_clock_unless_it_is_pinned(owner: Connection, lane: Lane, stream: Stream) -> None:
    today = one(owner, "select (now() at time zone 'utc')::date")
    stream.commit(order(ORDER, ACME, number="SO-000001", day=today))
    owner.execute("update ops.as_of set as_of = as_of - 400, pinned = true")
    drain(lane)
    assert one(owner, "select order_count_365d from reporting.c360_account where account_uuid = %s", ACME) == 0
    owner.execute("update ops.as_of set pinned = false")
    assert [done.rebuilt for done in drain(lane)] == [["c360_account"]]
    assert one(owner, "select order_count_365d from reporting.c360_account where account_uuid = %s", ACME) == 1


@pytest.mark.parametrize(
    ("purpose", "relid", "rebuilt"),
    [
        ("repair", 0, {"fct_sales_order", "fct_sales_order_line", "agg_sales_daily", "dim_account", "dim_contact"}),
        ("reread", 7, {"fct_sales_order", "fct_sales_order_line", "agg_sales_daily"}),
    ],
)
def test_a_mirror_that_changed_without_images_rebuilds_what_reads_it(
    purpose: str, relid: int, rebuilt: set[str], owner: Connection, lane: Lane
) -> None:
    """A repair flags rows that vanished while nobody listened: no batch tells which."""
    owner.execute("update raw_orders.sales_order set _deleted = true")
    owner.execute(
        "insert into log.mirror (schema_name, table_name, source, relid, key)"
        " values ('orders', 'sales_order', 'headwater', 7, '{id}')"
    )
    owner.execute(
        "insert into log.snapshot (source, epoch, purpose, relid, finished_at) values ('headwater', 1, %s, %s, now())",
        [purpose, relid],
    )
    (done,) = drain(lane)
    assert rebuilt <= set(done.rebuilt)
    assert ("dim_account" in done.rebuilt) == (purpose == "repair")
    assert one(owner, "select count(*) from marts.fct_sales_order") == 0


def test_a_table_that_the_source_dropped_empties_what_reads_it(owner: Connection, lane: Lane) -> None:
    owner.execute("update raw_contacts.contact set _deleted = true")
    owner.execute(
        "insert into log.mirror (schema_name, table_name, source, relid, key, dropped_at)"
        " values ('contacts', 'contact', 'headwater', 7, '{id}', now())"
    )
    (done,) = drain(lane)
    assert set(done.rebuilt) == {"dim_contact", "c360_account"}
    assert one(owner, "select count(*) from marts.dim_contact") == 0


def test_row_security_and_grants_survive_a_refresh(marts: Marts, stream: Stream, lane: Lane, owner: Connection) -> None:
    stream.commit(order(uuid4(), ACME, number="SO-000009", territory_id=NORTH))
    lane.run_pass()
    secured = one(owner, "select bool_and(relrowsecurity) from pg_class where relname = 'fct_sales_order'")
    assert secured
    with marts.connect("wh_api") as api:
        assert one(api, "select count(*) from marts.fct_sales_order") == 0


def test_without_marts_the_lane_says_what_to_do(
    owner: Connection, lane: Lane, stream: Stream, program: Program
) -> None:
    owner.execute("alter table marts.dim_account rename to away")
    stream.commit(order(uuid4(), ACME, number="SO-000009"))
    with pytest.raises(MartsMissing, match="headwater rebuild marts"):
        lane.run_pass()
    owner.execute("alter table marts.away rename to dim_account")
    drain(lane)


def test_models_after_one_that_is_rebuilt_go_by_their_keys_again(
    stream: Stream, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild reads tables whole; what follows in the same pass must not, however small the tables look."""
    scans: dict[str, list[str]] = {}
    write = Lane._write

    def noting(self: Lane, model: HotModel, *rest: Any) -> None:
        scans.setdefault(model.name, []).append(self._value("show enable_seqscan"))
        write(self, model, *rest)

    monkeypatch.setattr(Lane, "_write", noting)
    stream.commit(truncate("contacts.contact"))
    stream.commit(order(uuid4(), GLOBEX, number="SO-000002"))
    assert "dim_contact" in lane.run_pass().rebuilt
    assert scans["dim_contact"] == ["on"]
    assert scans["fct_sales_order"] == ["off"]

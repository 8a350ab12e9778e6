"""A mirror compared with its source table, at rest, in motion, and where it is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date

import pytest

from pipelines.landing import reconcile
from pipelines.landing.reconcile import Comparison, compare
from pipelines.landing.resnapshot import NotMirrored
from tests.pipelines.landing.stage import Stage
from tests.pipelines.landing.test_resnapshot import TABLES, spoil

TODAY = date(2026, 11, 22)


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is under way, so that what differs goes on differing, however often it is looked at."""
    monkeypatch.setattr(reconcile, "ROUNDS", 2)


@pytest.fixture
def standing_still(at_rest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lands, so that whoever waits for it waits in vain."""
    monkeypatch.setattr(reconcile, "LANDING_SECONDS", 0.2)


@pytest.fixture
def shop(stage: Stage) -> Stage:
    stage.prepare(
        *TABLES,
        "create type shop.size as enum ('S', 'M')",
        "alter table shop.item add column price numeric(12,4) default 1.5, add column code char(4) default 'x',"
        " add column sized shop.size default 'M', add column at timestamptz default '2024-02-29 12:00+01',"
        " add column tags text[] default '{a,b}', add column half float8 default 0.1",
        publish=("shop.item",),
    )
    stage.streaming().settled()
    return stage


def compared(stage: Stage, today: date = TODAY) -> Comparison:
    return compare(stage.source, stage.target.dsn, "shop.item", today=today)


def test_a_mirror_equals_its_source_in_every_type(shop: Stage) -> None:
    found = compared(shop)
    assert found.is_equal
    assert found.reached
    assert (found.source_rows, found.mirror_rows, found.compared, found.share) == (500, 500, 500, (1, 1))


@pytest.mark.usefixtures("at_rest")
def test_a_value_a_lost_row_and_a_ghost_are_named(shop: Stage) -> None:
    shop.target.run(
        "alter table raw_shop.item alter column name drop default",
        "update raw_shop.item set name = 'spoilt' where id = 1",
        "delete from raw_shop.item where id in (2, 3)",
        "update raw_shop.item set _deleted = true where id = 4",
    )
    found = compared(shop)
    assert not found.is_equal
    assert not found.counts_agree
    assert found.differing == ("1", "2", "3", "4")


def test_rows_that_change_all_the_time_are_no_difference(shop: Stage) -> None:
    shop.database.run("insert into shop.item (id, name) select n, 'new' from generate_series(998, 1000) n")
    stop = threading.Event()

    def write() -> None:
        with shop.database.connect() as writer:
            n = 1000
            while not stop.is_set():
                n += 1
                writer.execute("update shop.item set name = %s where id <= 5", [f"n {n}"])
                # Other rows, but as many: counts taken one after the other would agree by chance alone.
                with writer.transaction():
                    writer.execute("insert into shop.item (id, name) values (%s, 'new')", [n])
                    writer.execute("delete from shop.item where id = %s", [n - 3])

    writing = threading.Thread(target=write)
    writing.start()
    try:
        found = compared(shop)
    finally:
        stop.set()
        writing.join()
    assert found.differing == ()
    assert found.is_equal


@pytest.mark.usefixtures("at_rest")
def test_of_a_large_table_each_day_another_share_is_compared_and_together_all(
    shop: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.database.run("analyze shop.item")
    monkeypatch.setattr(reconcile, "WHOLE_ROWS", 200)
    days = [compared(shop, date.fromordinal(TODAY.toordinal() + n)) for n in range(3)]
    assert {day.share for day in days} == {(1, 3), (2, 3), (3, 3)}
    assert sum(day.compared for day in days) == 500
    shop.target.run("update raw_shop.item set name = 'spoilt' where id = 1")
    wrong = [compared(shop, date.fromordinal(TODAY.toordinal() + n)).differing for n in range(3)]
    assert sorted(wrong) == [(), (), ("1",)]


@pytest.mark.usefixtures("standing_still")
def test_a_landing_that_stands_still_is_said(shop: Stage) -> None:
    shop.stop()
    shop.database.run("update shop.item set name = 'unseen' where id = 9")
    found = compared(shop)
    assert (found.reached, found.differing) == (False, ("9",))


@pytest.mark.parametrize("table", ["shop.nothing", "nothing", "public.item"])
def test_an_unknown_table_is_refused(shop: Stage, table: str) -> None:
    check: Callable[[], Comparison] = lambda: compare(shop.source, shop.target.dsn, table, today=TODAY)  # noqa: E731
    with pytest.raises(NotMirrored):
        check()


@pytest.mark.usefixtures("standing_still")
def test_a_column_under_way_to_another_type_is_left_out_and_the_rest_compared(shop: Stage) -> None:
    shop.stop()
    shop.database.run("alter table shop.item alter column price type text, alter column name type varchar(80)")
    assert compared(shop).is_equal


@pytest.mark.usefixtures("at_rest")
def test_spoilt_as_a_hand_may_do_it(shop: Stage) -> None:
    shop.target.run(
        "alter table raw_shop.item drop column price, drop column code, drop column sized, drop column at,"
        " drop column tags, drop column half"
    )
    shop.target.run("update log.mirror_column set dropped_at = now() where column_name not in ('id', 'name')")
    spoil(shop)
    assert compared(shop).differing == ("1", "2", "9999")

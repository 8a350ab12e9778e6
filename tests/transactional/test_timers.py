"""Timers: each runs once a period, whoever looks at the clock and whatever dies; the first keeps list prices true."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connections

from tests.cast import the_cast
from tests.pipelines.dispatch.dispatch_thread import eventually
from tests.pipelines.dispatch.stream_database import StreamDatabase
from tests.transactional.jobs_thread import JobsThread, Watch, kill_at
from tests.world import World
from transactional.kernel import timers
from transactional.kernel.calls import execute
from transactional.kernel.registry import RegistryError
from transactional.kernel.timers import FAILPOINTS, Clock, Due, Timer, TimerFunction, run_command_for_timer, run_if_due

LIST_PRICES = "inventory.list_prices"


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def nothing_ran_yet(world: World) -> None:
    with world.superuser() as superuser:
        for service in ("shelf", "inventory"):
            superuser.execute(f"truncate {service}.timer, {service}.idempotency_key".encode())


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Timer]:
    """Declares timers of the sample service, which end with the test."""
    monkeypatch.setattr(timers, "_timers", {})

    def add(function: TimerFunction, seconds: int = 3600) -> Timer:
        timer = Timer(f"shelf.timer_{secrets.token_hex(3)}", "shelf", timedelta(seconds=seconds), function)
        timers.add_timer(timer)
        return timer

    return add


@contextmanager
def ticking(service: str) -> Iterator[Watch]:
    """A clock of the service in a thread."""
    watch, stop = Watch(), threading.Event()
    thread = threading.Thread(target=Clock(service, watch).run, args=[stop])
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()


def make_book(due: Due) -> bool:
    """The effect that tests count; its title is the period."""
    run_command_for_timer(
        due, "shelf.create_book", {"title": f"{due.timer} {due.period}", "isbn": str(secrets.randbelow(10**12))}
    )
    return False


def books_of(world: World, timer: Timer) -> list[str]:
    rows = world.rows("select title from shelf.book where title like %s order by title", [f"{timer.name} %"])
    return [row["title"] for row in rows]


def fall_due(world: World, timer: Timer, ago: timedelta) -> None:
    (row,) = world.rows("update shelf.timer set due_at = due_at - %s where name = %s returning 1 n", [ago, timer.name])
    assert row["n"] == 1


def product_with_price(amount: str, first: int, last: int | None = None) -> uuid.UUID:
    """A product that costs 10 until its price becomes ``amount``, from ``first`` days from today to ``last``."""
    admin = the_cast("sales_rep").admin
    made = execute(
        "inventory.create_product",
        {
            "sku": f"SKU-{uuid.uuid4().hex[:10]}",
            "name": "Bike",
            "list_price": "10",
            "sell_start": today() - timedelta(days=30),
        },
        admin.ctx(),
    )
    found = uuid.UUID(made.data["id"])
    period = {"valid_from": today() + timedelta(days=first), "valid_to": last and today() + timedelta(days=last)}
    execute("inventory.set_price", {"id": found, "amount": amount, **period}, admin.ctx())
    return found


def days_pass(world: World, product: uuid.UUID, days: int) -> None:
    """The product's prices were set that long ago."""
    world.rows(
        "update inventory.product_price set valid_from = valid_from - %s, valid_to = valid_to - %s"
        " where product_id = %s returning 1",
        [days, days, product],
    )


def list_price(world: World, product: uuid.UUID) -> str | None:
    (row,) = world.rows("select list_price::text from inventory.product where id = %s", [product])
    found: str | None = row["list_price"]
    return found


def announced_prices(world: World, product: uuid.UUID) -> list[str | None]:
    events = world.outbox("inventory", "PRODUCT_UPDATED")
    return [event["payload"]["list_price"] for event in events if event["aggregate_id"] == product]


def list_prices_done(world: World) -> bool:
    return bool(world.rows("select 1 from inventory.timer where name = %s and due_at > now()", [LIST_PRICES]))


def test_a_price_becomes_the_list_price_on_its_first_day(world: World, start: Callable[..., JobsThread]) -> None:
    begins, ends, not_yet = product_with_price("12", 1), product_with_price("13", 1, 1), product_with_price("14", 2)
    days_pass(world, begins, 1)
    days_pass(world, not_yet, 1)
    worker = start("inventory")
    eventually(lambda: list_prices_done(world))
    assert list_price(world, begins) == "12.0000"
    assert announced_prices(world, begins) == ["12.0000"]
    assert list_price(world, not_yet) == "10.0000"
    assert list_price(world, ends) == "10.0000"
    worker.stop()

    days_pass(world, ends, 2)
    world.rows("update inventory.timer set due_at = due_at - interval '2 days', last_run_at = null returning 1")
    start("inventory")
    eventually(lambda: list_price(world, ends) is None)


def test_days_on_which_nobody_ran_are_caught_up_with(world: World, start: Callable[..., JobsThread]) -> None:
    product = product_with_price("12", 1)
    days_pass(world, product, 4)
    world.rows(
        "insert into inventory.timer (name, due_at, last_run_at, part)"
        " values (%s, date_trunc('day', now()) - interval '5 days', now() - interval '6 days', 0) returning 1",
        [LIST_PRICES],
    )
    worker = start("inventory")
    eventually(lambda: list_prices_done(world))
    assert list_price(world, product) == "12.0000"
    eventually(lambda: worker.watch.counters == {"timers": 1})


def test_refreshing_goes_on_until_nothing_is_left(world: World) -> None:
    products = [product_with_price("12", 1) for _ in range(3)]
    for product in products:
        days_pass(world, product, 1)
    cast = the_cast("warehouse_clerk", bobs_role="sales_rep")
    payload = {"since": str(today() - timedelta(days=1)), "limit": 2}
    path = "/api/inventory/products/refresh-list-prices"
    assert cast.bob.post(path, payload).status_code == 403
    assert cast.alice.post(path, payload).json() == {"changed": 2, "more": True}
    assert cast.alice.post(path, payload).json() == {"changed": 1, "more": False}
    assert {list_price(world, product) for product in products} == {"12.0000"}


def test_a_list_price_that_was_given_stays_between_the_turns_of_its_prices(world: World) -> None:
    product = product_with_price("12", 5)
    world.rows("update inventory.product set list_price = 9 where id = %s returning 1", [product])
    cast = the_cast("warehouse_clerk")
    answer = cast.alice.post("/api/inventory/products/refresh-list-prices", {"since": str(today() - timedelta(days=1))})
    assert answer.json() == {"changed": 0, "more": False}
    assert list_price(world, product) == "9.0000"


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_a_timer_acts_once(
    failpoint: str, world: World, stream: StreamDatabase, start: Callable[..., JobsThread], tmp_path: Path
) -> None:
    product = product_with_price("12", 1)
    days_pass(world, product, 1)
    kill_at(world, stream, "inventory", failpoint, tmp_path)
    start("inventory")
    eventually(lambda: list_prices_done(world))
    assert list_price(world, product) == "12.0000"
    assert announced_prices(world, product) == ["12.0000"]
    keys = world.rows("select key, command from inventory.idempotency_key where key like 'timer:%%'")
    assert keys == [{"key": f"timer:{LIST_PRICES}:{today()}T00:00:00Z", "command": "inventory.refresh_list_prices"}]


def test_two_workers_run_each_period_once(world: World, declare: Callable[..., Timer]) -> None:
    timer = declare(make_book, seconds=1)
    with ticking("shelf") as one, ticking("shelf") as other:
        eventually(lambda: len(books_of(world, timer)) >= 4)
    made = books_of(world, timer)
    assert len(set(made)) == len(made)
    assert one.counters.get("timers", 0) + other.counters.get("timers", 0) == len(made)
    assert one.errors == other.errors == {}


def test_a_timer_in_hand_is_left_alone(world: World, declare: Callable[..., Timer]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait(due: Due) -> bool:
        inside.set()
        assert go_on.wait(30)
        return make_book(due)

    timer = declare(wait)
    with ticking("shelf"):
        assert inside.wait(30)
        assert run_if_due(timer) == timers.SHORTEST_WAIT
        go_on.set()
        eventually(lambda: len(books_of(world, timer)) == 1)
    assert 0 < (run_if_due(timer) or 0) <= 3600


def test_parts_of_a_period_are_transactions_of_their_own(world: World, declare: Callable[..., Timer]) -> None:
    seen: list[Due] = []

    def three(due: Due) -> bool:
        seen.append(due)
        make_book(due)
        return due.part < 2

    timer = declare(three)
    with ticking("shelf") as watch:
        eventually(lambda: watch.counters.get("timers") == 3)
    assert [due.part for due in seen] == [0, 1, 2]
    assert len({due.period for due in seen}) == 1
    assert len(books_of(world, timer)) == 3
    assert (run_if_due(timer) or 0) > 0


def test_periods_that_were_missed_are_run_once(world: World, declare: Callable[..., Timer]) -> None:
    seen: list[Due] = []

    def note(due: Due) -> bool:
        seen.append(due)
        return False

    timer = declare(note)
    assert run_if_due(timer) == 0.0, "made, and due at once"
    assert run_if_due(timer) is None
    fall_due(world, timer, timedelta(hours=10))
    assert run_if_due(timer) is None
    assert (run_if_due(timer) or 0) > 0
    first, second = seen
    assert first.last_run_at is None
    assert second.last_run_at is not None
    assert second.period == first.period - timedelta(hours=9)


def test_a_failing_timer_leaves_nothing_delays_nobody_and_comes_back(
    world: World, declare: Callable[..., Timer]
) -> None:
    broken = threading.Event()
    broken.set()

    def fail(due: Due) -> bool:
        make_book(due)
        if broken.is_set():
            raise ValueError("not today")
        return False

    bad, good = declare(fail), declare(make_book)
    with ticking("shelf") as watch:
        eventually(lambda: len(books_of(world, good)) == 1)
        eventually(lambda: watch.errors == {bad.name: f"{bad.name}: ValueError: not today"})
        assert books_of(world, bad) == []
        broken.clear()
        eventually(lambda: len(books_of(world, bad)) == 1)
        eventually(lambda: watch.errors == {})


def test_a_timer_survives_the_loss_of_its_connection(world: World, declare: Callable[..., Timer]) -> None:
    timer = declare(make_book, seconds=1)
    with ticking("shelf") as watch:
        eventually(lambda: len(books_of(world, timer)) >= 1)
        with world.superuser() as superuser:
            ended = superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hw_shelf' and datname = %s",
                [world.database],
            )
            assert ended.rowcount > 0
        before = len(books_of(world, timer))
        eventually(lambda: len(books_of(world, timer)) > before)
        eventually(lambda: watch.errors == {})
    connections["shelf"].close()


def test_a_timer_calls_commands_of_its_own_service_alone(world: World, declare: Callable[..., Timer]) -> None:
    def abroad(due: Due) -> bool:
        run_command_for_timer(due, "inventory.refresh_list_prices", {"since": str(today())})
        return False

    timer = declare(abroad)
    run_if_due(timer)
    with pytest.raises(RegistryError, match="its own service"):
        run_if_due(timer)

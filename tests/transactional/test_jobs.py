"""The jobs worker: each event applied exactly once and in order per aggregate, whatever dies or fails."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from tests.cast import the_cast
from tests.pipelines.dispatch.dispatch_thread import eventually
from tests.pipelines.dispatch.stream_database import StreamDatabase
from tests.transactional.jobs_thread import JobsThread, kill_at
from tests.world import World
from transactional.kernel.calls import execute
from transactional.kernel.jobs import FAILPOINTS


@pytest.fixture(scope="module")
def history(world: World) -> None:
    """``public.history`` notes every title that a book ever had, in the order in which it got them."""
    with world.superuser() as superuser:
        superuser.execute("create table public.history (n bigint generated always as identity, book uuid, title text)")
        superuser.execute(
            "create function public.note() returns trigger language plpgsql security definer as"
            " $$ begin insert into public.history (book, title) values (new.id, new.title); return null; end $$"
        )
        superuser.execute(
            "create trigger history after update on shelf.book for each row execute function public.note()"
        )


def new_book(title: str = "untitled") -> uuid.UUID:
    admin = the_cast("sales_rep").admin
    book = execute("shelf.create_book", {"title": title, "isbn": str(secrets.randbelow(10**12))}, admin.ctx())
    return uuid.UUID(json.loads(book.body)["id"])


def titles(world: World, book: uuid.UUID) -> list[str]:
    return [row["title"] for row in world.rows("select title from public.history where book = %s order by n", [book])]


def want(stream: StreamDatabase, books: list[uuid.UUID], wanted: list[str]) -> list[uuid.UUID]:
    """One event per title, each for the book of the same place in the list."""
    payloads = [{"book": book, "title": title} for book, title in zip(books, wanted, strict=True)]
    return stream.deliver("shelf", books, type="BOOK_WANTED", payloads=payloads)


def see(stream: StreamDatabase, accounts: list[uuid.UUID], names: list[str]) -> list[uuid.UUID]:
    return stream.deliver("shelf", accounts, type="ACCOUNT_SEEN", payloads=[{"name": name} for name in names])


def replica_names(world: World) -> dict[uuid.UUID, str]:
    return {
        row["account_uuid"]: row["name"] for row in world.rows("select account_uuid, name from shelf.account_replica")
    }


def pending(stream: StreamDatabase) -> int:
    return len(stream.rows("select 1 from stream.delivery"))


@pytest.mark.usefixtures("history")
def test_events_reach_their_handlers_in_order_and_their_deliveries_end(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    book, account = new_book(), uuid.uuid4()
    worker = start("shelf")
    want(stream, [book] * 5, ["a", "b", "c", "d", "e"])
    see(stream, [account] * 2, ["Acme", "Acme Ltd"])
    eventually(lambda: pending(stream) == 0)
    assert titles(world, book) == ["a", "b", "c", "d", "e"]
    assert replica_names(world)[account] == "Acme Ltd"
    eventually(lambda: worker.watch.counters == {"events": 7, "failures": 0})
    assert worker.watch.errors == {}


def test_an_event_nobody_handles_any_more_ends_quietly(
    stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    start("shelf")
    stream.deliver("shelf", [uuid.uuid4()], type="NEVER_HEARD_OF")
    eventually(lambda: pending(stream) == 0)


@pytest.mark.usefixtures("history")
def test_a_poison_event_parks_its_aggregate_and_replay_brings_it_back(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    """The book that event 2 of the first aggregate wants does not exist until somebody makes it."""
    good, other, missing = new_book(), new_book(), uuid.uuid4()
    aggregate = uuid.uuid4()
    wanted = [(good, "a"), (missing, "b"), (good, "c")]
    payloads = [{"book": book, "title": title} for book, title in wanted]
    _, poison, _ = stream.deliver("shelf", [aggregate] * 3, type="BOOK_WANTED", payloads=payloads)
    stream.rows("update stream.delivery set attempts = 5 where event_id = %s returning 1", poison)
    start("shelf")
    eventually(lambda: bool(stream.rows("select 1 from stream.parked")))
    want(stream, [other] * 2, ["x", "y"])
    eventually(lambda: titles(world, other) == ["x", "y"])
    assert titles(world, good) == ["a"], "what follows in the poison's aggregate waits"
    (parked,) = stream.rows("select * from stream.parked")
    assert (parked["event_id"], parked["behind"]) == (poison, 1)
    assert "Absent" in parked["last_error"]
    assert str(missing) in parked["last_error"]

    world.rows(
        "insert into shelf.book"
        " select (jsonb_populate_record(b, jsonb_build_object('id', %s::text, 'isbn', %s::text))).*"
        " from shelf.book b where id = %s returning 1",
        [str(missing), str(secrets.randbelow(10**12)), good],
    )
    stream.rows("select stream.replay('shelf', %s)", poison)
    eventually(lambda: pending(stream) == 0)
    assert titles(world, good) == ["a", "c"]
    assert titles(world, missing) == ["b"]


@pytest.mark.usefixtures("history")
def test_an_event_that_is_always_too_slow_parks_its_aggregate_only(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"options": "-c statement_timeout=300ms"}
    monkeypatch.setitem(connections.settings["shelf"], "OPTIONS", connections.settings["shelf"]["OPTIONS"] | limits)
    slow, other = new_book(), new_book()
    with world.superuser() as superuser:
        superuser.execute(
            "create function public.dawdle() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(60); return new; end $$"
        )
        superuser.execute(
            "create trigger dawdle before update on shelf.book"
            " for each row when (new.title = 'slow') execute function public.dawdle()"
        )
        (poison,) = want(stream, [slow], ["slow"])
        want(stream, [slow, other], ["after", "x"])
        stream.rows("update stream.delivery set attempts = 4 where event_id = %s returning 1", poison)
        worker = start("shelf")
        try:
            eventually(lambda: titles(world, other) == ["x"])
            # Its first failure is in the round before: the fifth, which is tried again after 16 s, or now.
            soon = "update stream.delivery set next_attempt_at = now() where event_id = %s and attempts = 5 returning 1"
            assert stream.rows(soon, poison)
            eventually(lambda: bool(stream.rows("select 1 from stream.parked")))
        finally:
            superuser.execute("drop function public.dawdle cascade")
    (parked,) = stream.rows("select * from stream.parked")
    assert (parked["event_id"], parked["behind"]) == (poison, 1)
    assert "statement timeout" in parked["last_error"]
    eventually(lambda: worker.watch.counters["failures"] == 2)
    stream.rows("select stream.replay('shelf', %s)", poison)
    eventually(lambda: pending(stream) == 0)
    assert titles(world, slow) == ["slow", "after"]


def test_a_failing_event_is_tried_again_by_itself(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    account = uuid.uuid4()
    worker = start("shelf")
    see(stream, [account], ["poison"])
    eventually(lambda: worker.watch.counters.get("failures", 0) >= 1)
    stream.rows("update stream.delivery set payload = %s returning 1", '{"name": "cured"}')
    eventually(lambda: replica_names(world).get(account) == "cured")
    eventually(lambda: pending(stream) == 0)


@contextmanager
def locked_out(world: World, role: str) -> Iterator[None]:
    """The role's sessions in the services' database end and it cannot log in there."""
    with world.superuser() as superuser:
        superuser.execute(f"revoke connect on database {world.database} from {role}".encode())
        superuser.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s and datname = %s",
            [role, world.database],
        )
        try:
            yield
        finally:
            connections["shelf"].close()  # this thread's own was ended too
            superuser.execute(f"grant connect on database {world.database} to {role}".encode())


@pytest.mark.usefixtures("history")
def test_a_service_that_is_down_delays_nobody_and_catches_up_in_order(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    book = new_book()
    worker = start("shelf", "finance")
    want(stream, [book], ["before"])
    eventually(lambda: pending(stream) == 0)
    with locked_out(world, "hw_shelf"):
        want(stream, [book] * 3, ["1", "2", "3"])
        eventually(lambda: "shelf" in worker.watch.errors)
        stream.deliver("finance", [uuid.uuid4()], type="NEVER_HEARD_OF")
        eventually(lambda: pending(stream) == 3)
        want(stream, [book] * 2, ["4", "5"])
        assert titles(world, book) == ["before"]
        assert stream.rows("select 1 from stream.delivery where attempts > 0") == [], "an outage is no event's fault"
    eventually(lambda: pending(stream) == 0)
    assert titles(world, book) == ["before", "1", "2", "3", "4", "5"]
    eventually(lambda: worker.watch.errors == {})


def test_the_stream_database_may_go_away_for_a_while(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    worker = start("shelf")
    see(stream, [uuid.uuid4()], ["before"])
    eventually(lambda: pending(stream) == 0)
    with stream.cluster.connect() as server:
        server.execute(f"alter database {stream.name} allow_connections false".encode())
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [stream.name])
        eventually(lambda: "shelf" in worker.watch.errors)
        server.execute(f"alter database {stream.name} allow_connections true".encode())
    account = uuid.uuid4()
    see(stream, [account], ["Acme"])
    eventually(lambda: replica_names(world).get(account) == "Acme")


@pytest.mark.usefixtures("history")
def test_two_workers_at_once_apply_nothing_twice_and_keep_the_order(
    world: World, stream: StreamDatabase, start: Callable[..., JobsThread]
) -> None:
    books = [new_book() for _ in range(4)]
    start("shelf"), start("shelf")
    numbers = [str(n) for n in range(50)]
    for number in numbers:
        want(stream, books, [number] * 4)
    eventually(lambda: pending(stream) == 0)
    for book in books:
        assert titles(world, book) == numbers


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_each_event_is_applied_exactly_once_and_in_order(
    failpoint: str, world: World, stream: StreamDatabase, start: Callable[..., JobsThread], tmp_path: Path
) -> None:
    books = [new_book(), new_book()]
    want(stream, books, ["1", "1"])
    poisonous = failpoint.startswith("jobs.")  # with a poison event the inbox takes another way than that of its points
    if poisonous:
        see(stream, [uuid.uuid4()], ["poison"])
    want(stream, books, ["2", "2"])
    kill_at(world, stream, "shelf", failpoint, tmp_path)
    want(stream, books, ["3", "3"])
    start("shelf")
    eventually(lambda: pending(stream) == poisonous)
    for book in books:
        assert titles(world, book) == ["1", "2", "3"]
        (row,) = world.rows("select version from shelf.book where id = %s", [book])
        assert row["version"] == 4
    errors = stream.rows("select last_error from stream.delivery")
    assert [row["last_error"] for row in errors] == ["ValueError: cannot read this one"] * poisonous


def test_the_services_role_does_it_all(world: World, stream: StreamDatabase) -> None:
    """The worker needs no right beside its service's role: another service's inbox stays closed to it."""
    with world.as_role("hw_shelf") as shelf, pytest.raises(psycopg.errors.InsufficientPrivilege):
        shelf.execute("select 1 from finance.inbox")
    with stream.connect("hw_shelf") as shelf, pytest.raises(psycopg.errors.InsufficientPrivilege):
        shelf.execute("select * from stream.claim('finance')")

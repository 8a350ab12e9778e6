"""What a command does when it may: one transaction, the resource as answer, versions, lifecycle, no calls out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import close_old_connections, connections
from psycopg import sql

from tests.cast import Cast
from tests.problem import problem
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.world import World
from transactional.kernel.calls import CallInsideCommand, execute
from transactional.kernel.problems import StaleVersion, Unavailable


def test_the_answer_is_the_resource_with_its_version_and_position(world: World, cast: Cast) -> None:
    answer = cast.alice.post(BOOKS, {"title": "  Dune ", "isbn": new_isbn(), "price": "19.9000"})
    book = answer.json()
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    assert (book["title"], book["price"], book["version"]) == ("Dune", "19.9000", 1)
    assert (book["owner_id"], book["team_id"], book["territory_id"]) == (
        str(cast.alice.id),
        str(cast.alice.team_id),
        str(cast.alice.territory_id),
    )
    source, _, lsn = answer.headers["Headwater-Position"].partition("=")
    assert source == "headwater"
    assert world.rows("select pg_current_wal_insert_lsn() >= %s::pg_lsn as passed", [lsn])[0]["passed"]


def test_the_position_is_not_before_the_commit(world: World, cast: Cast) -> None:
    """A reader that has landed everything up to the position has the change."""
    with world.superuser() as connection:
        connection.execute("select pg_create_logical_replication_slot('position_check', 'pgoutput')")
        try:
            lsn = cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}).headers["Headwater-Position"][10:]
            connection.execute("checkpoint")  # commits of tests are flushed late; decoding reads what is flushed
            commits = connection.execute(
                "select lsn <= %s::pg_lsn as before from pg_logical_slot_peek_binary_changes('position_check', null,"
                " null, 'proto_version', '1', 'publication_names', 'hw_landing') where get_byte(data, 0) = ascii('C')",
                [lsn],
            ).fetchall()
            assert [row["before"] for row in commits] == [True]
        finally:
            connection.execute("select pg_drop_replication_slot('position_check')")


def test_a_change_raises_the_version_once_and_only_when_something_changed(
    world: World, cast: Cast, new_book: NewBook
) -> None:
    where = f"{BOOKS}/{new_book(cast.alice)['id']}/update"
    assert cast.alice.post(where, {"title": "Dune II"}).headers["ETag"] == '"2"'
    assert cast.alice.post(where, {"title": "Dune II"}).headers["ETag"] == '"2"'


def test_a_field_left_out_stays_and_null_clears(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice, price="5")
    where = f"{BOOKS}/{book['id']}/update"
    assert cast.alice.post(where, {"title": "New"}).json()["price"] == "5.0000"
    assert cast.alice.post(where, {"price": None}).json()["price"] is None
    problem(cast.alice.post(where, {"title": None}), 422)


def test_a_stale_version_is_refused_with_the_fields_that_differ(world: World, cast: Cast, new_book: NewBook) -> None:
    where = f"{BOOKS}/{new_book(cast.alice)['id']}/update"
    assert cast.alice.post(where, {"title": "Hers", "price": "5"}, if_match=1).status_code == 200

    body = problem(cast.alice.post(where, {"title": "Mine", "price": "5"}, if_match=1), 409)
    assert body["type"].endswith(":stale_version")
    assert (body["current_version"], body["expected_version"]) == (2, 1)
    assert [(error["field"], error["message"]) for error in body["errors"]] == [("title", "is Hers now, you sent Mine")]
    assert cast.alice.post(where, {"title": "Mine"}, if_match=2).status_code == 200


def test_of_two_who_saw_the_same_version_one_wins(world: World, cast: Cast, new_book: NewBook) -> None:
    where = f"{BOOKS}/{new_book(cast.alice)['id']}/update"
    start = threading.Barrier(4)

    def send(number: int) -> int:
        try:
            start.wait()
            return cast.alice.post(where, {"title": f"By {number}"}, if_match=1).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(send, range(4))) == [200, 409, 409, 409]


def test_in_process_callers_get_the_same(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    answer = execute("shelf.update_book", {"id": book["id"], "title": "Other"}, cast.alice.ctx(expected_version=1))
    assert (answer.status, answer.version, answer.data["title"]) == (200, 2, "Other")
    with pytest.raises(StaleVersion):
        execute("shelf.update_book", {"id": book["id"], "title": "Third"}, cast.alice.ctx(expected_version=1))


def test_the_lifecycle_decides_what_is_possible(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    where = f"{BOOKS}/{book['id']}"

    def possible() -> set[str]:
        return {action["command"] for action in cast.alice.get(where).json()["allowed_actions"]}

    assert "shelf.publish_book" in possible()
    assert cast.alice.post(f"{where}/publish").json()["status"] == "published"
    assert "shelf.publish_book" not in possible()
    body = problem(cast.alice.post(f"{where}/publish"), 409)
    assert (body["state"], body["allowed"]) == ("published", ["withdraw"])


def test_every_allowed_action_can_be_posted_to(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    actions = cast.alice.get(f"{BOOKS}/{book['id']}").json()["allowed_actions"]
    assert actions
    for action in actions:
        if action["command"] != "shelf.call_out":
            assert cast.alice.post(action["href"], {}).status_code in (200, 422), action


def test_events_are_in_the_outbox_with_the_command(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    cast.alice.post(f"{BOOKS}/{book['id']}/publish")
    (event,) = [row for row in world.outbox("shelf") if str(row["aggregate_id"]) == book["id"]]
    assert (event["type"], event["aggregate_type"], event["aggregate_version"], event["schema_version"]) == (
        "BOOK_PUBLISHED",
        "book",
        2,
        1,
    )
    assert event["payload"] == {"id": book["id"], "title": "Dune"}
    assert event["actor_id"] == cast.alice.id


def test_a_command_may_not_call_another_service(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    with pytest.raises(CallInsideCommand, match=r"shelf\.call_out called identity\.create_team"):
        execute("shelf.call_out", {"id": book["id"]}, cast.admin.ctx())


def test_a_refused_command_leaves_nothing_behind(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    tables = ("book", "outbox", "idempotency_key", "external_reference", "move")
    before = {table: world.count(f"shelf.{table}") for table in tables}
    cast.alice.post(BOOKS, {"title": "Dune", "isbn": book["isbn"]}, key="refused")
    cast.alice.post(f"{BOOKS}/{book['id']}/move", {"place": "A1"}, key="refused", if_match=7)
    assert {table: world.count(f"shelf.{table}") for table in tables} == before


def test_a_deadlock_is_run_again(world: World, cast: Cast, new_book: NewBook) -> None:
    """Another writer holds the row and wants what the command holds: the database kills one, the command succeeds."""
    book = new_book(cast.alice)
    name = sql.Identifier("deadlock_once")
    with world.superuser() as connection:
        # Raises deadlock_detected the first time only; a sequence remembers, because it does not roll back.
        connection.execute("create sequence shelf.attempts; grant usage on sequence shelf.attempts to hw_shelf")
        connection.execute(
            sql.SQL(
                "create function shelf.{}() returns trigger language plpgsql as $$ begin"
                " if nextval('shelf.attempts') = 1 then"
                " raise exception 'deadlock detected' using errcode = '40P01'; end if; return new; end $$"
            ).format(name)
        )
        connection.execute(
            sql.SQL("create trigger once before update on shelf.book for each row execute function shelf.{}()").format(
                name
            )
        )
    try:
        assert cast.alice.post(f"{BOOKS}/{book['id']}/update", {"title": "Again"}).json()["version"] == 2
    finally:
        with world.superuser() as connection:
            connection.execute("drop trigger once on shelf.book")


def test_a_connection_that_was_cut_is_made_again(world: World, cast: Cast, new_book: NewBook) -> None:
    """The database restarted or an operator ended the session: the next request works, and a second call in process."""
    where = f"{BOOKS}/{new_book(cast.alice)['id']}/update"

    def cut() -> None:
        with world.superuser() as connection:
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hw_shelf'")

    cut()
    close_old_connections()  # what a request begins with, outside of Django's test client
    assert cast.alice.post(where, {"title": "After"}).status_code == 200
    book = where.split("/")[-2]
    cut()
    with pytest.raises(Unavailable):
        execute("shelf.update_book", {"id": book, "title": "Lost"}, cast.alice.ctx())
    assert execute("shelf.update_book", {"id": book, "title": "Found"}, cast.alice.ctx()).status == 200

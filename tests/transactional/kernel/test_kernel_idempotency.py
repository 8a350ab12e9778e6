"""A command that is sent again under its key acts once, whatever happened to the first answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from django.db import connections
from django.http import HttpResponse

from tests.cast import Cast
from tests.problem import problem
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.world import World
from transactional.kernel import idempotency


def test_the_same_key_and_body_get_the_stored_answer(world: World, cast: Cast) -> None:
    body = {"title": "Dune", "isbn": new_isbn()}
    first, second = (cast.alice.post(BOOKS, body, key="once") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert world.rows("select count(*) as n from shelf.book where isbn = %s", [body["isbn"]])[0]["n"] == 1


def test_the_order_of_fields_does_not_make_another_body(world: World, cast: Cast) -> None:
    isbn = new_isbn()
    first = cast.alice.post(BOOKS, f'{{"title": "Dune", "isbn": "{isbn}"}}'.encode(), key="order")
    second = cast.alice.post(BOOKS, f'{{ "isbn":"{isbn}", "title":"Dune"}}'.encode(), key="order")
    assert first.content == second.content


def test_the_same_key_with_another_body_is_refused(world: World, cast: Cast, new_book: NewBook) -> None:
    cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, key="reused")
    other = cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, key="reused")
    assert problem(other, 422)["type"].endswith(":idempotency_key_reused")
    elsewhere = cast.alice.post(f"{BOOKS}/{new_book(cast.alice)['id']}/publish", key="reused")
    problem(elsewhere, 422)


def test_the_target_belongs_to_the_request(world: World, cast: Cast, new_book: NewBook) -> None:
    one, two = new_book(cast.alice), new_book(cast.alice)
    assert cast.alice.post(f"{BOOKS}/{one['id']}/publish", key="target").status_code == 200
    problem(cast.alice.post(f"{BOOKS}/{two['id']}/publish", key="target"), 422)


def test_a_key_belongs_to_its_caller(world: World, cast: Cast) -> None:
    """Nobody reads another's answer by guessing a key."""
    hers = cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, key="shared")
    his = cast.charlie.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, key="shared")
    assert (hers.status_code, his.status_code) == (201, 201)
    assert hers.json()["id"] != his.json()["id"]


def test_only_successes_are_kept(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    where = f"{BOOKS}/{book['id']}/publish"
    problem(cast.alice.post(where, key="retry", if_match=9), 409)
    assert cast.alice.post(where, key="retry", if_match=1).json()["status"] == "published"
    assert cast.alice.post(where, key="retry", if_match=1).json()["status"] == "published"


def test_a_replay_writes_nothing_at_all(world: World, cast: Cast, new_book: NewBook) -> None:
    where = f"{BOOKS}/{new_book(cast.alice)['id']}/publish"
    cast.alice.post(where, key="quiet")
    before = (world.count("shelf.outbox"), world.count("shelf.idempotency_key"))
    cast.alice.post(where, key="quiet")
    assert (world.count("shelf.outbox"), world.count("shelf.idempotency_key")) == before


def test_duplicates_at_the_same_moment_act_once(world: World, cast: Cast) -> None:
    body = {"title": "Dune", "isbn": new_isbn()}
    start = threading.Barrier(6)

    def send(_: int) -> HttpResponse:
        try:
            start.wait()
            return cast.alice.post(BOOKS, body, key="race")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1


def test_a_duplicate_waits_for_the_first_and_acts_if_that_fails(world: World, cast: Cast) -> None:
    """The first one's transaction is open and holds the key; the second waits on that row, then does the work."""
    body = {"title": "Dune", "isbn": new_isbn()}
    key = f"wait-{uuid4()}"
    answers: list[HttpResponse] = []

    def send() -> None:
        try:
            answers.append(cast.alice.post(BOOKS, body, key=key))
        finally:
            connections.close_all()

    with world.superuser() as first, world.superuser() as observer, first.transaction(force_rollback=True):
        first.execute(
            "insert into shelf.idempotency_key (actor_id, key, request_hash, command, created_at)"
            " values (%s, %s, '', '', now())",
            [cast.alice.id, key],
        )
        second = threading.Thread(target=send)
        second.start()
        waiting = "select count(*) as n from pg_stat_activity where usename = 'hw_shelf' and wait_event_type = 'Lock'"
        while not observer.execute(waiting).fetchone()["n"]:  # type: ignore[index]
            assert second.is_alive()
        assert answers == []
    second.join(timeout=20)
    assert answers[0].status_code == 201


def test_old_answers_are_swept_and_young_ones_stay(world: World, cast: Cast) -> None:
    cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, key="old")
    cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, key="young")
    with world.superuser() as connection:
        connection.execute(
            "update shelf.idempotency_key set created_at = now() - interval '8 days'"
            " where key = 'old' and actor_id = %s",
            [cast.alice.id],
        )
    assert idempotency.sweep("shelf") == 1
    kept = world.rows("select key from shelf.idempotency_key where actor_id = %s", [cast.alice.id])
    assert [row["key"] for row in kept] == ["young"]

"""Accounts form a tree: no account becomes its own ancestor, whatever happens at the same moment."""

from __future__ import annotations

import threading
from uuid import uuid4

import psycopg
import pytest
from django.db import connections

from tests.cast import the_cast
from transactional.kernel.calls import execute
from transactional.kernel.problems import Problem

PATH = "/api/contacts/accounts"


@pytest.fixture
def cast(world):
    return the_cast("sales_rep")


def create(person, name, parent=None):
    return person.post(PATH, {"name": name, "parent_id": parent}).json()["account_uuid"]


def put_below(person, account, parent, **options):
    return person.post(f"{PATH}/{account}/set-parent", {"parent_id": parent}, **options)


def test_alice_moves_an_account_and_says_so(world, cast):
    top, below = create(cast.alice, "Top"), create(cast.alice, "Below")
    answer = put_below(cast.alice, below, top)
    assert (answer.status_code, answer.json()["parent_id"]) == (200, top)
    event = world.outbox("contacts")[-1]
    assert (event["type"], event["payload"]["parent_id"]) == ("ACCOUNT_UPDATED", top)
    assert [a["account_uuid"] for a in cast.alice.get(PATH, {"parent_id": top}).json()["items"]] == [below]
    assert put_below(cast.alice, below, None).json()["parent_id"] is None


def test_a_loop_is_refused_at_any_depth(cast):
    a = create(cast.alice, "A")
    b = create(cast.alice, "B", parent=a)
    c = create(cast.alice, "C", parent=b)
    for parent in (a, b, c):
        answer = put_below(cast.alice, a, parent)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "parent_id"
    assert cast.alice.get(f"{PATH}/{a}").json()["parent_id"] is None


def test_bob_may_not_and_charlie_finds_nothing(cast):
    a, b = create(cast.alice, "A"), create(cast.alice, "B")
    assert put_below(cast.bob, a, b).status_code == 403
    assert put_below(cast.charlie, a, b).status_code == 404
    mine = create(cast.charlie, "Charlie's")
    unseen, absent = put_below(cast.charlie, mine, a), put_below(cast.charlie, mine, str(uuid4()))
    assert unseen.status_code == absent.status_code == 422
    assert unseen.json()["errors"][0]["code"] == absent.json()["errors"][0]["code"] == "unknown"


def test_a_stale_version_is_refused(cast):
    a, b = create(cast.alice, "A"), create(cast.alice, "B")
    put_below(cast.alice, a, b)
    assert put_below(cast.alice, a, None, if_match=1).status_code == 409


def test_of_two_moves_that_would_close_a_loop_one_is_refused(world, cast):
    """Two transactions hold their moves open at the same time; neither can see the other's."""
    a, b = create(cast.alice, "A"), create(cast.alice, "B")
    with world.as_role("hw_contacts") as first, world.as_role("hw_contacts") as second:
        first.autocommit = second.autocommit = False
        first.execute("update account set parent_id = %s where account_uuid = %s", [b, a])
        refused: list[psycopg.Error] = []

        def move() -> None:
            try:
                second.execute("update account set parent_id = %s where account_uuid = %s", [a, b])
                second.commit()
            except psycopg.Error as error:
                refused.append(error)

        other = threading.Thread(target=move)
        other.start()
        with world.superuser() as watch:
            waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted"
            while other.is_alive() and not watch.execute(waiting).fetchone():
                pass
        first.commit()
        other.join()
    assert [error.sqlstate for error in refused] == ["23514"]
    rows = world.rows("select parent_id from contacts.account where account_uuid in (%s, %s)", [a, b])
    assert sorted(str(row["parent_id"]) for row in rows) == sorted([b, "None"])


def test_of_two_who_ask_for_a_loop_at_once_one_gets_it_and_none_a_deadlock(cast):
    a, b = create(cast.alice, "A"), create(cast.alice, "B")
    barrier = threading.Barrier(2)
    outcomes: list[int] = []

    def move(this: str, below: str) -> None:
        barrier.wait()
        try:
            payload = {"account_uuid": this, "parent_id": below}
            outcomes.append(execute("contacts.set_parent", payload, cast.alice.ctx()).status)
        except Problem as problem:
            outcomes.append(problem.status)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=move, args=pair) for pair in ((a, b), (b, a))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [200, 422]


def test_the_database_refuses_a_loop_that_arrives_in_one_statement(world):
    a, b = uuid4(), uuid4()
    columns = "account_uuid, account_number, name, account_type, status, hold_version, currency, parent_id"
    columns += ", version, created_at, updated_at, custom"
    one = "(%s, %s, 'x', 'Prospect', 'Active', 0, 'USD', %s, 1, now(), now(), '{}')"
    with world.as_role("hw_contacts") as connection, pytest.raises(psycopg.errors.CheckViolation, match="ancestor"):
        connection.execute(f"insert into account ({columns}) values {one}, {one}".encode(), [a, "X-1", b, b, "X-2", a])

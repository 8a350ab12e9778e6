"""The catalogue's tree: names once per branch, and no branch above itself."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from django.db import connections

from transactional.kernel.calls import execute
from transactional.kernel.problems import Problem

PATH = "/api/inventory/product-categories"


def update(person, category_id, **body):
    return person.post(f"{PATH}/{category_id}/update", body)


def test_alice_makes_renames_and_moves_categories(cast, category):
    top, other = category(), category()
    below = category(parent=top)
    moved = update(cast.alice, below, name=f"Wheels {uuid4().hex[:6]}", parent_id=other).json()
    assert (moved["parent_id"], moved["version"]) == (other, 2)
    assert [c["id"] for c in cast.alice.get(PATH, {"parent_id": other}).json()["items"]] == [below]


def test_bob_may_not(cast, category):
    assert cast.bob.post(PATH, {"name": "X"}).status_code == 403
    assert update(cast.bob, category(), name="X").status_code == 403
    assert update(cast.alice, uuid4(), name="X").status_code == 404


def test_a_loop_is_refused_at_any_depth(cast, category):
    a = category()
    b = category(parent=a)
    c = category(parent=b)
    for parent in (a, b, c):
        answer = update(cast.alice, a, parent_id=parent)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parent_id")


def test_a_name_is_given_once_in_a_branch(cast, category):
    name = f"Bikes {uuid4().hex[:6]}"
    top = category(name)
    assert cast.alice.post(PATH, {"name": name}).status_code == 409
    assert cast.alice.post(PATH, {"name": name, "parent_id": top}).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"name": " "}, "name"), ({"name": "X", "parent_id": str(uuid4())}, "parent_id")],
)
def test_bad_input_is_named(cast, body, field):
    answer = cast.alice.post(PATH, body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_of_two_moves_that_would_close_a_loop_one_is_refused(cast, category):
    a, b = category(), category()
    barrier = threading.Barrier(2)
    outcomes: list[int] = []

    def move(this: str, below: str) -> None:
        barrier.wait()
        try:
            payload = {"id": this, "parent_id": below}
            outcomes.append(execute("inventory.update_product_category", payload, cast.alice.ctx()).status)
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

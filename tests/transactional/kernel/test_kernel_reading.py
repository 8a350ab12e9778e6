"""Reading resources: pages by keyset, filters, and parameters that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cast import Cast
from tests.problem import fields, problem
from tests.transactional.kernel.books import BOOKS, NewBook
from tests.world import World


def test_pages_hold_every_row_once_also_when_rows_come_in_between(world: World, cast: Cast, new_book: NewBook) -> None:
    made = {new_book(cast.alice)["id"] for _ in range(7)}
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": 3}
    while True:
        page = cast.alice.get(BOOKS, parameters).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 3
        new_book(cast.charlie)
        parameters["after"] = page["next"]
    assert len(seen) == 7
    assert set(seen) == made


def test_filters_are_equal_and_in_scope(world: World, cast: Cast, new_book: NewBook) -> None:
    one, two = new_book(cast.alice, pages=100), new_book(cast.alice, pages=200)
    new_book(cast.charlie, pages=100)
    cast.alice.post(f"{BOOKS}/{two['id']}/publish")

    def ids(**parameters: Any) -> list[str]:
        return [item["id"] for item in cast.alice.get(BOOKS, parameters).json()["items"]]

    assert ids(pages=100) == [one["id"]]
    assert ids(status="published") == [two["id"]]
    assert ids(isbn=one["isbn"], pages=200) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "ten"),
        ("limit", "9" * 40),
        ("after", "yesterday"),
        ("status", "lost"),
        ("pages", "many"),
        ("isbn", "a\x00"),
        ("colour", "red"),
    ],
)
def test_a_bad_parameter_is_named(world: World, cast: Cast, name: str, value: str) -> None:
    assert fields(problem(cast.alice.get(BOOKS, {name: value}), 422)) == {name}


def test_a_filter_beyond_the_columns_range_is_no_fault_of_ours(world: World, cast: Cast) -> None:
    answer = cast.alice.get(BOOKS, {"pages": str(10**12)})
    assert answer.status_code in (200, 422)


def test_a_resource_shows_its_children(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    cast.alice.post(f"{BOOKS}/{book['id']}/move", {"place": "A1"})
    assert cast.alice.get(f"{BOOKS}/{book['id']}").json()["moves"] == [{"place": "A1"}]


def test_head_answers_like_get_without_a_body(world: World, cast: Cast, new_book: NewBook) -> None:
    from django.test import Client

    where = f"{BOOKS}/{new_book(cast.alice)['id']}"
    answer = Client().head(where, headers={"Authorization": f"Bearer {cast.alice.token}"})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (200, b"", '"1"')

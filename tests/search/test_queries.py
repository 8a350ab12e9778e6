"""Queries nobody should be able to type: each is only words to be found, or refused in a sentence."""

from __future__ import annotations

import pytest

from search.errors import QueryRefused
from search.query import parse
from tests.search.world import BIKE, HELMET, JOSE, MUELLER, NORTH, SOUTH, SOUTHERN_ORDER, Searching, reader

HOSTILE = (
    "\0\x01\x02 \x1b[31m",
    ".*",
    "[a-z]+(summit|acme)*",
    'keys:"territory:x" OR *',
    "NOT summit",
    '" OR keys EXISTS OR "',
    "summit') or 1=1 --",
    "name:summit^1000 ~2 AND (",
    "\\",
    "%27%22",
    "<script>alert(1)</script>",
    "\u202esummit\u202c",
    "🚲🚲🚲",
    "ａｃｍｅ",
    "summit " * 60,
    "- - -",
    "{}[]()^$|?+",
)


@pytest.mark.parametrize("typed", HOSTILE)
def test_operators_of_any_language_are_only_characters(standing: Searching, typed: str) -> None:
    charlie = reader("sales_rep", territory=SOUTH)
    his = {MUELLER, JOSE, SOUTHERN_ORDER, BIKE, HELMET}
    assert standing.ids(typed, charlie) <= his


def test_words_between_operators_are_found(standing: Searching) -> None:
    alice = reader("sales_rep", territory=NORTH)
    assert standing.ids("[summit]* east?", alice) == standing.ids("summit east", alice) != set()


def test_ten_thousand_characters_are_refused_in_a_sentence(standing: Searching) -> None:
    with pytest.raises(QueryRefused, match="has 10,000 characters; at most 500") as refused:
        standing.find("a" * 10_000)
    assert refused.value.field == "q"


def test_more_words_than_are_searched_for_are_named(standing: Searching) -> None:
    answer = standing.find("summit mountain " + " ".join(f"w{n}" for n in range(12)))
    assert answer.ignored == ("w8", "w9", "w10", "w11")


def test_nothing_is_found_for_nothing(standing: Searching) -> None:
    for typed in ("", "   ", "\t\n", "...", "\0"):
        answer = standing.find(typed)
        assert (answer.groups, answer.completions, answer.total) == ((), (), 0)
        assert answer.watermark


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"entities": ["invoice"]}, "entity"),
        ({"filters": {"colour": ["red"]}}, "filter"),
        ({"filters": {"status": []}}, "filter"),
        ({"filters": {"status": ["x"] * 101}}, "filter"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"after": "5"}, "after"),
        ({"after": "-1", "entities": ["order"]}, "after"),
        ({"after": "1000", "entities": ["order"]}, "after"),
        ({"after": "x", "entities": ["order"]}, "after"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(standing: Searching, more: dict[str, object], field: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        standing.find("summit", **more)
    assert refused.value.field == field


def test_control_characters_are_spaces_in_what_is_shown() -> None:
    assert parse("sum\x00mit\x1b\tx").text == "sum mit x"

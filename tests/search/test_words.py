"""Words, codes, mistakes and marks: what is compared and what is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.answer import Fragment
from search.highlight import completions, excerpt, mark, suggestions
from search.query import parse
from search.words import code_forms, composed, distance, folded, typos, words

text = st.text(max_size=80)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Müller-Øst Straße", "muller ost strasse"),
        ("Łódź ŒUVRE", "lodz oeuvre"),
        ("O'Brien & Söhne", "o brien sohne"),
        ("日本語 Ltd.", "日 本 語 ltd"),
        ("ＦＵＬＬ", "full"),
        ("İstanbul", "istanbul"),
    ],
)
def test_words_are_folded_alike_wherever_they_come_from(typed: str, expected: str) -> None:
    assert folded([typed]) == expected


@pytest.mark.parametrize(
    ("code", "forms"),
    [
        ("SO-000123", {"so", "000123", "so000123", "123", "so123"}),
        ("BK-M82S-42", {"bk", "m82s", "42", "bkm82s42", "82"}),
        ("", set()),
    ],
)
def test_a_code_has_the_forms_that_people_type(code: str, forms: set[str]) -> None:
    assert set(code_forms(code)) == forms


def test_numbers_and_short_words_hold_no_mistakes() -> None:
    assert [typos(word) for word in ("acme", "summit", "mountains", "000123", "m82s42x99")] == [0, 1, 2, 0, 0]


@given(st.text("abcd", max_size=7), st.text("abcd", max_size=7))
def test_distance_is_symmetric_and_bounded(left: str, right: str) -> None:
    for limit in (0, 1, 2):
        found = distance(left, right, limit)
        assert found == distance(right, left, limit)
        assert found <= limit + 1
        assert (found == 0) == (left == right)


@given(text, text)
def test_marks_lie_within_the_text_in_order_and_pieces_are_the_whole_of_it(shown: str, typed: str) -> None:
    fragment = mark("title", composed(shown), parse(typed))
    assert "".join(piece.text for piece in fragment.pieces()) == fragment.text
    ends = [0, *(end for m in fragment.marks for end in m)]
    assert ends == sorted(ends)
    assert not fragment.marks or ends[-1] <= len(fragment.text)


@given(text)
def test_every_word_of_a_text_marks_itself(shown: str) -> None:
    for word in list(words(composed(shown)))[:3]:
        assert mark("title", composed(shown), parse(word.text)).marks


def test_a_long_text_is_cut_around_its_first_mark() -> None:
    long = "nothing " * 60 + "mountain " + "else " * 60
    shown = excerpt(mark("detail", long, parse("mountain")))
    assert len(shown.text) < 220
    assert [piece.text for piece in shown.pieces() if piece.marked] == ["mountain"]
    assert shown.text.startswith("… ")
    assert shown.text.endswith(" …")
    assert excerpt(Fragment("detail", "short")).text == "short"


def test_completions_go_on_from_the_query_and_suggestions_correct_it() -> None:
    titles = ["Mountain Bike", "Road Mountain", "Mount", "Motor"]
    assert completions(titles, parse("moun")) == ("Mountain Bike", "Mount", "Road Mountain")
    assert suggestions(titles, parse("mountian")) == ("mountain",)
    assert suggestions(titles, parse("mountain")) == ()

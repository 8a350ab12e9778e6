"""Composite and array literals become JSON that says the same; what is no literal is kept as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.types import MalformedLiteral, TypeShape, parse_array, parse_composite

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
TEXT = TypeShape("plain", "text")
NUMBER = TypeShape("plain", "numeric(10,2)")
FLAG = TypeShape("plain", "boolean")


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def composite_literal(values: list[str | None]) -> str:
    return "(" + ",".join("" if value is None else quoted(value) for value in values) + ")"


def array_literal(values: list[Any]) -> str:
    def member(value: Any) -> str:
        if isinstance(value, list):
            return array_literal(value)
        return "NULL" if value is None else quoted(value)

    return "{" + ",".join(member(value) for value in values) + "}"


@given(st.lists(st.none() | texts, min_size=2))
def test_composites_read_back(values: list[str | None]) -> None:
    assert parse_composite(composite_literal(values)) == values


@given(st.recursive(st.none() | texts, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12))
def test_arrays_read_back(value: Any) -> None:
    values = value if isinstance(value, list) else [value]
    assert parse_array(array_literal(values)) == values
    assert parse_array("[5:9]=" + array_literal(values)) == values


@given(st.lists(st.tuples(texts, st.none() | texts), min_size=2, unique_by=lambda field: field[0]))
def test_a_composite_becomes_a_json_object(fields: list[tuple[str, str | None]]) -> None:
    shape = TypeShape("composite", "jsonb", fields=tuple((name, TEXT) for name, _ in fields))
    convert = shape.converter()
    assert convert is not None
    assert json.loads(convert(composite_literal([value for _, value in fields]))) == dict(fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1.50,t)", '{"amount": 1.50, "paid": true}'),
        ("(NaN,f)", '{"amount": "NaN", "paid": false}'),
        ("(-Infinity,)", '{"amount": "-Infinity", "paid": null}'),
        ("(1e400,)", '{"amount": 1e400, "paid": null}'),
    ],
)
def test_numbers_and_booleans_are_json_where_json_has_them(text: str, expected: str) -> None:
    convert = TypeShape("composite", "jsonb", fields=(("amount", NUMBER), ("paid", FLAG))).converter()
    assert convert is not None
    assert convert(text) == expected


@given(texts)
def test_text_that_is_no_literal_is_kept_as_one_string(text: str) -> None:
    convert = TypeShape("composite", "jsonb", fields=(("a", TEXT), ("b", TEXT))).converter()
    assert convert is not None
    converted = json.loads(convert(text))
    assert converted == text or list(converted) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "(", "(a", '("a)', "a)", "(\\)"])
def test_malformed_composites_are_refused(text: str) -> None:
    with pytest.raises(MalformedLiteral):
        parse_composite(text)


@pytest.mark.parametrize("text", ["", "{", "{a", "{a}b", "{{a}", '{"a}', "a", "{a\\", "{a}}", '{"a"x{'])
def test_malformed_arrays_are_refused(text: str) -> None:
    with pytest.raises(MalformedLiteral):
        parse_array(text)


def test_a_plain_type_needs_no_conversion() -> None:
    assert NUMBER.converter() is None
    assert TypeShape("plain", "jsonb").converter() is None
    assert TypeShape("array", "numeric(10,2)[]", element=NUMBER).converter() is None

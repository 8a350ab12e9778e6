"""The forms of a list's filters and columns: one small form for each column, as its kind wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bi.lists.columns import Column, Kind
from web.lists.asked import OPERATORS, Asked, parameter

_RANGES = {
    Kind.NUMBER: ("At least", "At most"),
    Kind.MONEY: ("At least", "At most"),
    Kind.DAY: ("From", "Until"),
    Kind.MOMENT: ("From", "Until"),
}


@dataclass(frozen=True)
class FilterForm:
    """``choices``: (value, label, chosen); ``kept``: the parameters that go along."""

    name: str
    label: str
    kept: Sequence[tuple[str, str]]
    input: str = "checkbox"
    choices: Sequence[tuple[str, str, bool]] = ()
    range: tuple[str, str] | None = None
    min: str = ""
    max: str = ""
    has: str = ""
    empty: bool = False


def forms(wanted: Asked) -> list[FilterForm]:
    return [_form(wanted, column) for column in wanted.columns]


def columns(wanted: Asked) -> list[tuple[Column, bool]]:
    """Every column, and whether it is shown."""
    return [(column, column.name in wanted.shown) for column in wanted.columns]


def _form(wanted: Asked, column: Column) -> FilterForm:
    def first(operator: str) -> str:
        return next(iter(wanted.values_of(column.name, operator)), "")

    kept = wanted.kept(*(parameter(column.name, operator) for operator in ("any", *OPERATORS)))
    options = [("yes", "Yes"), ("no", "No")] if column.kind is Kind.YES_NO else [(c, c) for c in column.choices]
    chosen = wanted.values_of(column.name)
    return FilterForm(
        name=column.name,
        label=column.label,
        kept=kept,
        input="radio" if column.kind is Kind.YES_NO else "checkbox",
        choices=[(value, label[:1].upper() + label[1:], value in chosen) for value, label in options],
        range=_RANGES.get(column.kind),
        min=first("min"),
        max=first("max"),
        has=first("has"),
        empty=bool(first("empty")),
    )

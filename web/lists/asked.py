"""What the address of a list asks for: filters, order, columns, place; and the same as sentences and as an address.

``status=Active&status=On+Hold`` (any of), ``type.not=Vendor``, ``name.has=moun``, ``balance.min=1000``,
``balance.max=2000``, ``industry.empty=1``, ``industry.set=1``; ``q`` a word, ``mine=1``, ``sort=-balance``, ``col`` a
column to show (many), ``after`` and ``before`` a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlencode

from django.http import QueryDict

from bi.lists.columns import Column, Kind, Listing
from bi.lists.statement import Cursor, Filter, Query
from web import formats, typed

OPERATORS = ("not", "has", "min", "max", "empty", "set")
MAX_VALUES = 20
MAX_WORD = 200
PAGE_ROWS = 50


@dataclass(frozen=True)
class Chip:
    """A filter as a sentence, and the address without it."""

    column: str
    sentence: str
    without: str


@dataclass
class Asked:
    """``pairs``: what was understood, in a settled order and as text; ``wrong``: what was not, in words."""

    listing: Listing
    columns: Sequence[Column]
    pairs: list[tuple[str, str]] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    sort: str = ""
    word: str = ""
    mine: bool = False
    view: str = ""
    after: Cursor | None = None
    before: Cursor | None = None

    def query(self, *, limit: int = PAGE_ROWS) -> Query:
        return Query(
            sort=self.sort,
            columns=self.shown,
            filters=self.filters,
            word=self.word,
            mine=self.mine,
            cursor=self.before or self.after,
            back=self.before is not None,
            limit=limit,
        )

    @property
    def address(self) -> str:
        """The query string without a place and without the view's name: what a saved view keeps."""
        return urlencode(self.pairs)

    @property
    def totals(self) -> str:
        """The address of the totals, which no order and no place changes."""
        pairs = [pair for pair in self.pairs if pair[0] != "sort"]
        return f"/{self.listing.name}/totals" + (f"?{urlencode(pairs)}" if pairs else "")

    def to(self, *, drop: Iterable[str] = (), **add: str) -> str:
        """The list's address with some parameters dropped and others set; the view's name stays, the place goes."""
        gone = {*drop, *add}
        pairs = [pair for pair in self.pairs if pair[0] not in gone]
        if self.view:
            pairs.append(("view", self.view))
        pairs += [(name, value) for name, value in add.items() if value]
        return f"/{self.listing.name}" + (f"?{urlencode(pairs)}" if pairs else "")

    def kept(self, *drop: str) -> list[tuple[str, str]]:
        """The parameters that a form of this list takes along."""
        pairs = [pair for pair in self.pairs if pair[0] not in drop]
        return [*pairs, ("view", self.view)] if self.view else pairs

    @property
    def chips(self) -> list[Chip]:
        found = []
        if self.mine:
            found.append(Chip("mine", "Owner is me", self.to(drop=["mine"])))
        by_name = {column.name: column for column in self.columns}
        for wanted in self.filters:
            column = by_name[wanted.column]
            without = self.to(drop=[parameter(column.name, wanted.operator)])
            found.append(Chip(column.name, f"{column.label} {_sentence(column, wanted)}", without))
        return found

    def sorted_by(self, column: Column) -> str:
        """The address with this column's order turned, or taken up: figures and days begin with the most."""
        if self.sort == column.name:
            return self.to(sort=f"-{column.name}")
        first = "-" if self.sort != f"-{column.name}" and column.kind not in (Kind.TEXT, Kind.CHOICE) else ""
        return self.to(sort=f"{first}{column.name}")

    def values_of(self, column: str, operator: str = "any") -> list[str]:
        """What a filter's form begins with."""
        wanted = parameter(column, operator)
        return [value for name, value in self.pairs if name == wanted]


def asked(listing: Listing, columns: Sequence[Column], data: QueryDict) -> Asked:
    """Reads a query string. What is unknown is passed over; what cannot be read is said in ``wrong``."""
    found = Asked(listing, columns)
    for column in columns:
        for operator in ("any", *OPERATORS):
            _read(found, column, operator, data.getlist(parameter(column.name, operator))[:MAX_VALUES])
    _read_rest(found, data)
    return found


def parameter(column: str, operator: str) -> str:
    """The query parameter of a filter."""
    return column if operator == "any" else f"{column}.{'not' if operator == 'none' else operator}"


def _read_rest(found: Asked, data: QueryDict) -> None:
    names = {column.name for column in found.columns}
    word = " ".join(data.get("q", "").replace("\0", "").split())[:MAX_WORD]
    if word:
        found.word = word
        found.pairs.append(("q", word))
    if data.get("mine") == "1" and found.listing.mine:
        found.mine = True
        found.pairs.append(("mine", "1"))
    sort = data.get("sort", "")
    found.sort = sort if sort.removeprefix("-") in names else found.listing.sort
    if found.sort != found.listing.sort:
        found.pairs.append(("sort", found.sort))
    chosen = set(data.getlist("col")) & names
    usual = [column.name for column in found.columns if column.name in found.listing.shown]
    found.shown = [column.name for column in found.columns if column.name in chosen] if chosen else usual
    # The column that leads to the record is always there.
    lead = found.columns[0].name
    if lead not in found.shown:
        found.shown.insert(0, lead)
    if found.shown != usual:
        found.pairs += [("col", name) for name in found.shown]
    found.view = data.get("view", "")[:40]
    found.after = Cursor.parse(str(data.get("after") or ""))
    found.before = Cursor.parse(str(data.get("before") or ""))


def _read(found: Asked, column: Column, operator: str, texts: Sequence[str]) -> None:
    texts = [text.strip() for text in texts if text.strip() and "\0" not in text]
    if not texts or (operator == "has" and column.kind is not Kind.TEXT):
        return
    if operator in ("min", "max") and column.kind not in (Kind.NUMBER, Kind.MONEY, Kind.DAY, Kind.MOMENT):
        return
    if operator in ("empty", "set"):
        values: list[str | Decimal | date | bool] = []
        texts = ["1"]
    else:
        try:
            values = [_value(column, text) for text in (texts if operator in ("any", "not") else texts[:1])]
        except ValueError as error:
            found.wrong.append(f"{column.label}: {error}")
            return
    found.filters.append(Filter(column.name, "none" if operator == "not" else operator, values))
    if values:
        texts = [_text(value) for value in values]
    found.pairs += [(parameter(column.name, operator), text) for text in texts]


def _value(column: Column, text: str) -> str | Decimal | date | bool:
    if column.kind in (Kind.NUMBER, Kind.MONEY):
        return typed.amount(text)
    if column.kind in (Kind.DAY, Kind.MOMENT):
        return typed.day(text, datetime.now(UTC).date())
    if column.kind is Kind.YES_NO:
        if text not in ("yes", "no"):
            raise ValueError("Choose yes or no.")
        return text == "yes"
    if column.kind is Kind.CHOICE and text not in column.choices:
        raise ValueError(f"There is no {column.label.lower()} “{text[:40]}”.")
    return text[:MAX_WORD]


def _text(value: str | Decimal | date | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if isinstance(value, date) else str(value)


def _sentence(column: Column, wanted: Filter) -> str:
    if wanted.operator == "empty":
        return "is unknown"
    if wanted.operator == "set":
        return "is known"
    words = [_word(column, value) for value in wanted.values]
    if wanted.operator == "has":
        return f"contains {words[0]}"
    if wanted.operator in ("any", "none"):
        listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
        return f"{'is' if wanted.operator == 'any' else 'is not'} {listed}"
    if column.kind in (Kind.DAY, Kind.MOMENT):
        return f"{'from' if wanted.operator == 'min' else 'until'} {words[0]}"
    return f"is at {'least' if wanted.operator == 'min' else 'most'} {words[0]}"


def _word(column: Column, value: str | Decimal | date | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return formats.day(value)
    if isinstance(value, Decimal):
        return formats.number(value)
    return value[:1].upper() + value[1:] if column.kind is Kind.CHOICE else value

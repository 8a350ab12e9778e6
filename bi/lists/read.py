"""Reading a list: a page of its rows, the totals of all of them per currency, and how fresh each is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from psycopg import DataError

from bi.lists.columns import Column, Listing
from bi.lists.statement import Cursor, Query, statement, totals_statement
from bi.reading import found
from policy.decide import may
from policy.principal import Principal
from policy.problems import forbidden

EXPORT_ROWS = 1000
"""Rows of one round trip of an export."""


@dataclass(frozen=True)
class Row:
    """``cells``: column → its value, numbers as text so that no digit is lost; a column that names a record has
    ``(text, id)``."""

    key: UUID
    currency: str | None
    cells: Mapping[str, Any]
    sort_value: str | None


@dataclass(frozen=True)
class Page:
    """``previous`` and ``next`` are where the pages around it begin; None at the ends."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    watermark: Mapping[str, Mapping[str, Any]]
    previous: Cursor | None
    next: Cursor | None


@dataclass(frozen=True)
class Total:
    """Of everything that the filters leave, in one currency ("" where the list knows none)."""

    currency: str
    count: int
    sums: Mapping[str, str | None]


@dataclass(frozen=True)
class Totals:
    """``each`` currency by itself, the one of most rows first."""

    columns: Sequence[Column]
    each: Sequence[Total]
    watermark: Mapping[str, Mapping[str, Any]]

    @property
    def count(self) -> int:
        return sum(total.count for total in self.each)


def visible(listing: Listing, principal: Principal) -> list[Column]:
    """The columns that the reader may see."""
    return [c for c in listing.columns if c.permission is None or may(principal.roles, c.permission)]


def page(dsn: str, principal: Principal, listing: Listing, query: Query) -> Page:
    """Columns, filters and order that the reader may not see are left out.

    Raises Problem: 403 without the permission to read such records, 401 and 503 as ``bi.reading.found``.
    """
    query = _allowed(principal, listing, query)
    try:
        document = _document(dsn, principal, statement(listing, query, principal.user_id))
    except DataError:
        # A place that somebody made up: its value is none of the column's.
        query = replace(query, cursor=None, back=False)
        document = _document(dsn, principal, statement(listing, query, principal.user_id))
    rows = [_row(query.columns, values) for values in document["rows"] or ()]
    more, rows = len(rows) > query.limit, rows[: query.limit]
    if query.back:
        rows.reverse()
    return Page(
        columns=_columns(listing, query),
        rows=rows,
        watermark=document["watermark"] or {},
        previous=_cursor(rows[0]) if rows and (more if query.back else query.cursor is not None) else None,
        next=_cursor(rows[-1]) if rows and (query.back or more) else None,
    )


def totals(dsn: str, principal: Principal, listing: Listing, query: Query) -> Totals:
    """What the filters leave, counted, and the shown columns that are summed; the query's place and order are nothing
    to it. Raises Problem as ``page`` does.
    """
    query = _allowed(principal, listing, query)
    document = _document(dsn, principal, totals_statement(listing, query, principal.user_id))
    return Totals(
        columns=_columns(listing, query),
        each=[Total(t["currency"] or "", t["count"], t["sums"]) for t in document["totals"] or ()],
        watermark=document["watermark"] or {},
    )


def _allowed(principal: Principal, listing: Listing, query: Query) -> Query:
    if not may(principal.roles, listing.permission):
        raise forbidden(listing.permission)
    allowed = {column.name for column in visible(listing, principal)}
    sort = query.sort if query.sort.removeprefix("-") in allowed else listing.sort
    return replace(
        query,
        sort=sort,
        columns=[name for name in query.columns if name in allowed],
        filters=[wanted for wanted in query.filters if wanted.column in allowed],
        cursor=query.cursor if sort == query.sort else None,
    )


def _columns(listing: Listing, query: Query) -> list[Column]:
    return [column for name in query.columns if (column := listing.column(name)) is not None]


def every(dsn: str, principal: Principal, listing: Listing, query: Query) -> Iterator[Row]:
    """All rows of the query from its start, a thousand a round trip; each round trip sees the rows of its moment."""
    query = replace(query, cursor=None, back=False, limit=EXPORT_ROWS)
    while True:
        read = page(dsn, principal, listing, query)
        yield from read.rows
        if read.next is None:
            return
        query = replace(query, cursor=read.next)


def _document(dsn: str, principal: Principal, asked: tuple[bytes, list[Any]]) -> Any:
    text, parameters = asked
    return found(dsn, principal, text, parameters[1:])


def _row(columns: Sequence[str], values: Sequence[Any]) -> Row:
    key, sort_value, currency, *cells = values
    return Row(UUID(key), currency, dict(zip(columns, cells, strict=True)), sort_value)


def _cursor(row: Row) -> Cursor:
    return Cursor(row.sort_value, row.key)

"""A list as a CSV file: what the reader may see of what the filters leave, as it is read; noted in the access log."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from bi.lists.columns import Column, Kind
from bi.lists.read import every, totals
from web.lists.asked import Asked
from web.lists.screens import Screen
from web.noting import note
from web.session import Reader

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes text that begins so for a formula; a quote before it makes it text (OWASP, CSV injection)."""
BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel reads UTF-8 as something else."""


def lines(reader: Reader, screen: Screen, wanted: Asked) -> Iterator[str]:
    """The file's lines. The note comes first: an export that is broken off was one. Raises Problem before the first."""
    found = totals(settings.HEADWATER_WAREHOUSE, reader.principal, screen.listing, wanted.query())
    note(
        reader,
        "export",
        screen.listing.permission,
        service=screen.service,
        resource=screen.listing.object_type,
        detail=f"{found.count} rows of /{screen.name}?{wanted.address}",
    )
    return _lines(reader, screen, wanted, list(found.columns))


def _lines(reader: Reader, screen: Screen, wanted: Asked, columns: list[Column]) -> Iterator[str]:
    money = any(column.kind is Kind.MONEY for column in columns)
    heads = [column.label for column in columns]
    yield BYTE_ORDER_MARK + _line([*heads, "Currency", "Id"] if money else [*heads, "Id"])
    for row in every(settings.HEADWATER_WAREHOUSE, reader.principal, screen.listing, wanted.query()):
        cells = [_cell(column, row.cells[column.name]) for column in columns]
        yield _line([*cells, *([row.currency or ""] if money else []), str(row.key)])


def _cell(column: Column, value: Any) -> str:
    if column.key_sql:
        value = value[0]
    if value is None:
        return ""
    if column.kind in (Kind.NUMBER, Kind.MONEY, Kind.DAY, Kind.MOMENT):
        return str(value)
    if column.kind is Kind.YES_NO:
        return "yes" if value else "no"
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _line(cells: list[str]) -> str:
    sink = io.StringIO()
    csv.writer(sink).writerow(cells)
    return sink.getvalue()

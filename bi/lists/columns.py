"""What a list is declared of. Every piece of SQL stands in a declaration; what a reader sends is a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds, which decides how it is filtered, aligned and written."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DAY = "day"
    MOMENT = "moment"
    CHOICE = "choice"
    YES_NO = "yes_no"


@dataclass(frozen=True)
class Column:
    """``sql``: an expression over the list's tables. ``total``: it is summed, per currency where it is money.

    ``choices``: the values of a CHOICE. ``permission``: who sees the column at all. ``names``: the type of the record
    that the column names, ``key_sql`` that record's id. ``known``: no row is without it, and the mirror has an index on
    it and the key, which a page in this order reads and no more.
    """

    name: str
    label: str
    sql: str
    kind: Kind = Kind.TEXT
    choices: Sequence[str] = ()
    total: bool = False
    permission: str | None = None
    names: str = ""
    key_sql: str = ""
    known: bool = False


@dataclass(frozen=True)
class Listing:
    """One list. ``key`` is the record's id in SQL; ``tables`` the FROM clause; ``matched`` what a word is sought in.

    ``currency`` is the SQL of the row's currency, or empty. ``mine`` is the SQL of the row's owner.
    """

    name: str
    object_type: str
    tables: str
    key: str
    columns: Sequence[Column]
    shown: Sequence[str]
    sort: str
    matched: Sequence[str]
    currency: str = ""
    mine: str = ""

    @property
    def permission(self) -> str:
        return f"{self.object_type}.read"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

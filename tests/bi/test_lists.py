"""Lists: keyset pages that miss and repeat nothing, filters, totals per currency, and only what the reader may see."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from bi.lists.declared import ACCOUNTS, CONTACTS, LISTINGS, ORDERS
from bi.lists.read import Page, every, page, totals, visible
from bi.lists.statement import Cursor, Filter, Query
from policy.principal import Principal
from policy.problems import Problem
from tests.marts import ACME, ACME_EAST, GLOBEX, NORTH, PERSON, Marts, order
from tests.mirror import Stream, delete, put
from tests.readers import Person

BY_NAME = Query(sort="name", columns=("name", "number"))


def read(marts: Marts, who: Person | Principal, query: Query = BY_NAME, listing: Any = ACCOUNTS) -> Page:
    principal = who if isinstance(who, Principal) else who.principal
    return page(marts.dsn("wh_api"), principal, listing, query)


def count(marts: Marts, who: Person, query: Query = BY_NAME) -> int:
    return totals(marts.dsn("wh_api"), who.principal, ACCOUNTS, query).count


def names(found: Page) -> list[str]:
    return [row.cells["name"] for row in found.rows]


def accounts(stream: Stream, *values: dict[str, Any]) -> None:
    stream.commit(
        *(
            put(
                "contacts.account",
                account_uuid=uuid4(),
                account_number=f"AC-{n:06}",
                **({"territory_id": NORTH} | value),
            )
            for n, value in enumerate(values, 100)
        )
    )


def test_alice_sees_the_rows_of_her_territory_bob_none_and_charlie_only_his(
    marts: Marts, alice: Person, bob: Person, charlie: Person
) -> None:
    found = read(marts, alice)
    assert names(found) == ["Acme", "Acme East"]
    assert count(marts, alice) == 2
    assert [row.key for row in found.rows] == [ACME, ACME_EAST]
    with pytest.raises(Problem) as refused:
        read(marts, bob)
    assert refused.value.status == 403
    with pytest.raises(Problem) as refused:
        count(marts, bob)
    assert refused.value.status == 403
    assert (names(read(marts, charlie)), count(marts, charlie)) == (["Globex"], 1)
    assert count(marts, charlie, replace(BY_NAME, word="Acme")) == 0


@pytest.mark.parametrize("sort", ["name", "-name", "industry", "-industry", "revenue", "-revenue", "-created"])
def test_pages_forth_and_back_hold_every_row_once_unknown_values_last(
    marts: Marts, alice: Person, stream: Stream, sort: str
) -> None:
    industries = ["Retail", "Retail", None, "Bikes", None, "Zoo", "Retail"]
    accounts(
        stream,
        *({"name": f"N{n % 3}", "industry": i, "annual_revenue": n % 2 or None} for n, i in enumerate(industries)),
    )
    query = Query(sort=sort, columns=("name", "industry"), limit=2)
    whole = [row.key for row in read(marts, alice, replace(query, limit=50)).rows]
    assert len(whole) == 9
    forth: list[UUID] = []
    found = read(marts, alice, query)
    pages = [found]
    while found.next:
        found = read(marts, alice, replace(query, cursor=found.next))
        pages.append(found)
    forth = [row.key for part in pages for row in part.rows]
    assert forth == whole
    assert pages[0].previous is None
    back = [row.key for row in pages[-1].rows]
    while found.previous:
        found = read(marts, alice, replace(query, cursor=found.previous, back=True))
        back = [row.key for row in found.rows] + back
    assert back == whole
    if sort.removeprefix("-") == "industry":
        shown = [row.cells["industry"] for row in read(marts, alice, replace(query, limit=50)).rows]
        assert shown[-4:] == [None] * 4


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter("name", "has", ["e e"]), ["Acme East"]),
        (Filter("name", "has", ["100%"]), []),
        (Filter("name", "has", ["'; drop table x --"]), []),
        (Filter("name", "any", ["Acme", "Globex"]), ["Acme"]),
        (Filter("name", "none", ["Acme"]), ["Acme East"]),
        (Filter("industry", "empty"), ["Acme", "Acme East"]),
        (Filter("industry", "set"), []),
        (Filter("orders", "min", [Decimal(1)]), ["Acme"]),
        (Filter("orders", "max", [Decimal(0)]), ["Acme East"]),
        (Filter("last_order", "min", [date(2024, 5, 1)]), ["Acme"]),
        (Filter("last_order", "max", [date(2024, 4, 30)]), []),
        (Filter("changed", "max", [date(1990, 1, 1)]), []),
    ],
)
def test_filters(marts: Marts, alice: Person, wanted: Filter, expected: list[str]) -> None:
    query = replace(BY_NAME, filters=[wanted])
    assert names(read(marts, alice, query)) == expected
    assert count(marts, alice, query) == len(expected)


def test_totals_are_of_everything_that_the_filters_leave_and_never_add_currencies(
    marts: Marts, alice: Person, stream: Stream
) -> None:
    stream.commit(
        order(uuid4(), ACME, number="SO-2", sub_total=Decimal("10.5"), currency="USD", territory_id=NORTH),
        order(uuid4(), ACME, number="SO-3", sub_total=Decimal(7), currency="EUR", territory_id=NORTH),
    )
    query = Query(sort="number", columns=("number", "net"), limit=1)
    (row,) = read(marts, alice, query, ORDERS).rows
    found = totals(marts.dsn("wh_api"), alice.principal, ORDERS, replace(query, cursor=Cursor(row.sort_value, row.key)))
    each = {total.currency: (total.count, Decimal(total.sums["net"] or 0)) for total in found.each}
    assert each == {"USD": (2, Decimal("310.5")), "EUR": (1, Decimal(7))}
    assert [total.currency for total in found.each] == ["USD", "EUR"]
    assert [column.name for column in found.columns] == ["number", "net"]


def test_mine_are_the_rows_that_the_reader_owns(marts: Marts, alice: Person, stream: Stream) -> None:
    accounts(stream, {"name": "My own", "owner_id": alice.principal.user_id})
    assert names(read(marts, alice, replace(BY_NAME, mine=True))) == ["My own"]


def test_columns_that_the_reader_may_not_see_are_neither_shown_nor_sorted_nor_filtered_by(
    marts: Marts, alice: Person
) -> None:
    marketer = replace(alice.principal, roles=frozenset({"marketer"}))
    assert "balance" not in [column.name for column in visible(ACCOUNTS, marketer)]
    asked = Query(
        sort="-balance", columns=("name", "balance"), filters=[Filter("balance", "min", [Decimal(1_000_000)])]
    )
    found = read(marts, marketer, asked)
    assert [column.name for column in found.columns] == ["name"]
    assert names(found) == ["Acme", "Acme East"]
    assert [column.name for column in totals(marts.dsn("wh_api"), marketer, ACCOUNTS, asked).columns] == ["name"]
    assert totals(marts.dsn("wh_api"), marketer, ACCOUNTS, asked).count == 2


def test_a_contact_names_its_account_only_to_those_who_may_see_it(
    marts: Marts, alice: Person, charlie: Person, stream: Stream
) -> None:
    query = Query(sort="last_name", columns=("name", "account"))
    assert read(marts, alice, query, CONTACTS).rows[0].cells["account"] == ["Acme", str(ACME)]
    stream.commit(put("contacts.contact", id=PERSON, owner_id=charlie.principal.user_id))
    found = read(marts, charlie, query, CONTACTS)
    assert [(row.key, row.cells["account"]) for row in found.rows] == [(PERSON, [None, None])]


def test_what_was_deleted_is_gone(marts: Marts, alice: Person, stream: Stream) -> None:
    stream.commit(delete("contacts.account", account_uuid=ACME_EAST))
    assert names(read(marts, alice)) == ["Acme"]


def test_an_export_reads_every_row_once_in_round_trips(
    marts: Marts, alice: Person, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bi.lists.read.EXPORT_ROWS", 3)
    accounts(stream, *({"name": f"Twin {n % 2}"} for n in range(10)))
    rows = list(every(marts.dsn("wh_api"), alice.principal, ACCOUNTS, BY_NAME))
    assert len(rows) == len({row.key for row in rows}) == 12
    assert GLOBEX not in {row.key for row in rows}


@pytest.mark.parametrize("text", ["", "x", "bnVsbA", "WzFd", "WyJhIiwgIm5vIHV1aWQiXQ", "W251bGwsIDFd", "é"])
def test_a_cursor_that_is_none_of_ours_is_no_cursor(text: str) -> None:
    assert Cursor.parse(text) is None


def test_a_place_that_somebody_made_up_is_the_start(marts: Marts, alice: Person) -> None:
    made_up = Query(sort="-created", columns=("name",), cursor=Cursor("yesterday' or true --", ACME), back=True)
    assert len(read(marts, alice, made_up).rows) == 2


@pytest.mark.parametrize("name", LISTINGS)
def test_every_column_of_every_list_can_be_shown_and_sorted_by(marts: Marts, alice: Person, name: str) -> None:
    listing = LISTINGS[name]
    for column in listing.columns:
        for sort in (column.name, f"-{column.name}"):
            every_column = [known.name for known in listing.columns]
            found = read(marts, alice, Query(sort=sort, columns=every_column, limit=1), listing)
            assert found.rows

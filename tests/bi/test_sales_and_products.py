"""What an account bought by year, and a product with its prices and buyers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from bi.schema import Product360, SalesByYear
from pipelines.refresh.lane import Lane
from pipelines.refresh.program import load
from tests.marts import ACME, BIKE, NORTH, ROAD_BIKES, SOUTH, Marts, drain, hot_manifest, line, order
from tests.mirror import Stream, put
from tests.readers import Person, person


def get(who: Person, path: str, status: int = 200) -> Any:
    answer = Client().get(f"/api/360/{path}", headers={"Authorization": f"Bearer {who.token()}"})
    assert answer.status_code == status, answer.content
    return answer.json()


def by_year(who: Person) -> list[tuple[int, str, int, Decimal]]:
    found = get(who, f"accounts/{ACME}/sales-by-year")
    SalesByYear.model_validate(found)
    return [(y["year"], y["currency"], y["order_count"], Decimal(y["line_net"])) for y in found["years"]]


@pytest.fixture
def refresh(marts: Marts) -> Iterator[Callable[[], object]]:
    """Has the hot lane take what landed."""
    with marts.connect() as connection:
        yield lambda: drain(Lane(connection, load(hot_manifest())))


def test_years_are_summed_by_currency_and_have_no_gap(
    alice: Person, stream: Stream, refresh: Callable[[], object]
) -> None:
    for number, (year, currency, status) in enumerate(
        [(2021, "USD", "closed"), (2021, "EUR", "shipped"), (2020, "USD", "cancelled"), (2021, "USD", "draft")]
    ):
        made = uuid4()
        stream.commit(
            order(made, ACME, number=f"SO-9{number}", day=date(year, 12, 31), currency=currency, status=status,
                  territory_id=NORTH, sub_total=Decimal(7)),
            line(uuid4(), made, quantity=Decimal(1), unit_price=Decimal(7)),
        )  # fmt: skip
    refresh()
    assert by_year(alice) == [
        (2021, "EUR", 1, Decimal(7)),
        (2021, "USD", 1, Decimal(7)),
        (2022, "USD", 0, Decimal(0)),
        (2023, "USD", 0, Decimal(0)),
        (2024, "USD", 1, Decimal(300)),
    ]


def test_an_account_without_orders_has_no_years(key: Ed25519PrivateKey, stream: Stream) -> None:
    fresh = uuid4()
    stream.commit(put("contacts.account", account_uuid=fresh, account_number="AC-9", name="New", territory_id=NORTH))
    found = get(person(key, 7, "sales_rep", territory=NORTH), f"accounts/{fresh}/sales-by-year")
    assert (found["years"], found["currency"]) == ([], "USD")


def test_sales_are_for_who_may_see_account_and_orders(
    bob: Person, charlie: Person, key: Ed25519PrivateKey, stream: Stream, refresh: Callable[[], object], alice: Person
) -> None:
    get(bob, f"accounts/{ACME}/sales-by-year", status=403)
    get(charlie, f"accounts/{ACME}/sales-by-year", status=404)
    get(person(key, 8, "warehouse_clerk", territory=NORTH), f"accounts/{ACME}/sales-by-year", status=403)
    stream.commit(order(uuid4(), ACME, number="SO-77", day=date(2022, 1, 1), territory_id=SOUTH))
    refresh()
    assert [year for year, *_ in by_year(alice)] == [2024], "the order of the south is none of hers"


def test_a_product_shows_prices_categories_and_buyers(alice: Person, stream: Stream) -> None:
    stream.commit(
        put("inventory.product", id=BIKE, standard_cost=Decimal(600), sell_start=date(2020, 1, 1)),
        put("inventory.product_price", id=uuid4(), product_id=BIKE, amount=Decimal(900), currency="USD",
            valid_from=date(2020, 1, 1), valid_to=date(2020, 12, 31)),
        put("inventory.product_price", id=uuid4(), product_id=BIKE, amount=Decimal(1000), currency="USD",
            valid_from=date(2021, 1, 1)),
    )  # fmt: skip
    found = get(alice, f"products/{BIKE}")
    Product360.model_validate(found)
    assert [c["name"] for c in found["category_path"]] == ["Bikes", "Road bikes"]
    assert found["category_path"][-1]["category_id"] == str(ROAD_BIKES)
    assert [(Decimal(p["amount"]), p["valid_to"]) for p in found["prices"]] == [(1000, None), (900, "2020-12-31")]
    assert [(o["order_number"], o["account_name"]) for o in found["orders"]] == [("SO-000001", "Acme")]
    assert [(Decimal(s["quantity"]), s["order_count"]) for s in found["sales"]] == [(3, 1)]


def test_a_product_is_for_who_reads_the_catalogue_and_its_buyers_for_their_readers(
    bob: Person, charlie: Person, key: Ed25519PrivateKey
) -> None:
    get(bob, f"products/{BIKE}", status=403)
    assert get(charlie, f"products/{BIKE}")["orders"] == [], "products are everybody's, their buyers are not"
    get(charlie, f"products/{uuid4()}", status=404)
    assert get(person(key, 9, "warehouse_clerk", territory=NORTH), f"products/{BIKE}")["orders"] != []


def test_sections_that_nobody_asks_for_are_null(alice: Person) -> None:
    found = get(alice, f"accounts/{ACME}?sections=contacts,totals")
    assert found["contacts"]
    assert found["totals"]
    assert [found[name] for name in ("hierarchy", "finance", "orders", "timeline")] == [None] * 4
    assert get(alice, f"accounts/{ACME}?sections=contacts,money", status=422)["errors"][0]["field"] == "sections"

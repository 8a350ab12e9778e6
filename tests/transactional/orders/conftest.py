"""An account and products that Orders knows, for its tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.cast import Cast, Person, the_cast
from tests.world import World

PATH = "/api/orders/sales-orders"


@dataclass
class Shop:
    """Alice sells; ``account`` is hers, ``bike`` costs 1,000 and ``bell`` 0.3333 USD, ``coin`` has no list price."""

    world: World
    cast: Cast
    account: str
    bike: str
    bell: str
    coin: str

    def draft(self, *lines: dict[str, Any], person: Person | None = None, **header: Any) -> dict[str, Any]:
        """A draft of Alice's, with one bike unless ``lines`` say otherwise."""
        body = {"account_uuid": self.account, "lines": lines or ({"product_id": self.bike, "quantity": 1},)} | header
        answer = (person or self.cast.alice).post(PATH, body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def act(self, order: dict[str, Any] | str, verb: str, *, person: Person | None = None, if_match=None, **body: Any):
        order_id = order if isinstance(order, str) else order["id"]
        return (person or self.cast.alice).post(f"{PATH}/{order_id}/{verb}", body, if_match=if_match)

    def read(self, order: dict[str, Any]) -> dict[str, Any]:
        return self.cast.alice.get(f"{PATH}/{order['id']}").json()


@pytest.fixture
def shop(world: World) -> Shop:
    cast = the_cast("sales_rep")
    account = cast.alice.post(
        "/api/contacts/accounts",
        {"name": "Acme", "account_type": "Customer", "shipping_address": {"city": "Oslo", "country": "NO"}},
    ).json()["account_uuid"]
    products = [
        cast.admin.post("/api/inventory/products", {"sku": f"{name}-{uuid4().hex[:8]}", "name": name} | price).json()[
            "id"
        ]
        for name, price in (("Bike", {"list_price": "1000"}), ("Bell", {"list_price": "0.3333"}), ("Coin", {}))
    ]
    world.settle()
    return Shop(world, cast, account, *products)


@pytest.fixture
def refused() -> Callable[..., None]:
    """Asserts a 4xx answer that names a field."""

    def check(answer: Any, field: str, status: int = 422) -> None:
        assert answer.status_code == status, answer.content
        assert field in [error["field"] for error in answer.json()["errors"]]

    return check

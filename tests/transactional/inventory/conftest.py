"""The catalogue's cast: a warehouse clerk, a sales rep who may only look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.cast import Cast, the_cast
from tests.world import World


@pytest.fixture
def cast(world: World) -> Cast:
    return the_cast("warehouse_clerk", bobs_role="sales_rep")


@pytest.fixture
def product(cast: Cast) -> Callable[..., dict[str, Any]]:
    """Makes a product with a SKU of its own."""

    def make(**values: Any) -> dict[str, Any]:
        body = {"sku": f"SKU-{uuid4().hex[:10]}", "name": "Bike"} | values
        answer = cast.alice.post("/api/inventory/products", body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    return make


@pytest.fixture
def category(cast: Cast) -> Callable[..., str]:
    """Makes a category, with a name of its own unless given, and returns its id."""

    def make(name: str | None = None, parent: str | None = None) -> str:
        body = {"name": name or f"Category {uuid4().hex[:10]}", "parent_id": parent}
        answer = cast.alice.post("/api/inventory/product-categories", body)
        assert answer.status_code == 201, answer.content
        return answer.json()["id"]

    return make

"""All companies fit into one installation: no name that must be unique is in two of them."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.datasets import folder
from transactional.importers import adventureworks, demo, northwind
from transactional.importers.company import Company


@pytest.fixture(scope="module")
def companies() -> list[Company]:
    return [demo.build(), adventureworks.read(folder("adventureworks")), northwind.read(folder("northwind"))]


def test_names_that_are_unique_in_an_installation_do_not_collide(companies: list[Company]) -> None:
    for one, other in combinations(companies, 2):
        unique = {"teams": "name", "users": "username", "products": "sku", "orders": "order_number"}
        for frame, column in unique.items():
            assert not set(getattr(one, frame)[column]) & set(getattr(other, frame)[column])
        assert not set(one.territories.select("country_code", "name").rows()) & set(
            other.territories.select("country_code", "name").rows()
        )
        assert not set(one.categories.filter(one.categories["parent_ref"].is_null())["name"]) & set(
            other.categories.filter(other.categories["parent_ref"].is_null())["name"]
        )

"""Both companies fit into one installation: no name that must be unique is in both."""

from __future__ import annotations

from tests.datasets import folder
from transactional.importers import adventureworks, demo


def test_names_that_are_unique_in_an_installation_do_not_collide() -> None:
    one, other = adventureworks.read(folder("adventureworks")), demo.build()
    for frame, column in (("teams", "name"), ("users", "username"), ("products", "sku"), ("orders", "order_number")):
        assert not set(getattr(one, frame)[column]) & set(getattr(other, frame)[column])
    assert not set(one.territories.select("country_code", "name").rows()) & set(
        other.territories.select("country_code", "name").rows()
    )
    assert not set(one.categories.filter(one.categories["parent_ref"].is_null())["name"]) & set(
        other.categories.filter(other.categories["parent_ref"].is_null())["name"]
    )

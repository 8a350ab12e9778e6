"""Orders' own words about an account, and the replicas it relies on."""

from __future__ import annotations

import pytest

PATH = "/api/orders/account-profiles"


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [
        ("set-default-shipping-method", "default_shipping_method", "Cargo bike"),
        ("set-default-shipping-method", "default_shipping_method", None),
        ("set-taxable", "is_taxable", False),
        ("set-taxable", "is_taxable", True),
    ],
)
class TestOwnWords:
    def test_alice_sets_it_and_updates_from_contacts_leave_it(self, shop, verb, field, value):
        answer = shop.cast.alice.post(f"{PATH}/{shop.account}/{verb}", {field: value})
        assert (answer.status_code, answer.json()[field]) == (200, value)
        shop.cast.alice.post(f"/api/contacts/accounts/{shop.account}/update", {"name": "Acme GmbH"})
        shop.world.settle()
        profile = shop.cast.alice.get(f"{PATH}/{shop.account}").json()
        assert (profile["name"], profile[field]) == ("Acme GmbH", value)

    def test_bob_may_not_and_charlie_finds_nothing(self, shop, verb, field, value):
        assert shop.cast.bob.post(f"{PATH}/{shop.account}/{verb}", {field: value}).status_code == 403
        assert shop.cast.charlie.post(f"{PATH}/{shop.account}/{verb}", {field: value}).status_code == 404


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("set-taxable", {"is_taxable": "no"}, "is_taxable"),
        ("set-taxable", {}, "is_taxable"),
        ("set-default-shipping-method", {"default_shipping_method": ""}, "default_shipping_method"),
    ],
)
def test_bad_input_is_named(shop, refused, verb, body, field):
    refused(shop.cast.alice.post(f"{PATH}/{shop.account}/{verb}", body), field)


def test_the_shipping_address_follows_contacts(shop):
    address = {"line1": "Pier 3", "city": "Bergen", "country": "NO"}
    shop.cast.alice.post(f"/api/contacts/accounts/{shop.account}/update", {"shipping_address": address})
    shop.world.settle()
    assert shop.cast.alice.get(f"{PATH}/{shop.account}").json()["shipping_address"]["city"] == "Bergen"


def test_prices_and_withdrawals_follow_inventory(shop):
    shop.cast.admin.post(f"/api/inventory/products/{shop.bike}/set-price", {"amount": "900", "valid_from": None})
    product = f"/api/inventory/products/{shop.bike}"
    shop.cast.admin.post(f"{product}/update", {"name": "City bike"})
    shop.cast.admin.post(f"{product}/discontinue")
    shop.world.settle()
    replica = shop.cast.alice.get(f"/api/orders/products/{shop.bike}", None)
    assert replica.status_code == 200
    assert (replica.json()["name"], replica.json()["is_active"]) == ("City bike", False)

"""A plot for the leak matrix: somebody of every role in the north, and objects of the north, the south and nobody.

Each object carries words that stand nowhere else (its secrets), so that any text can be asked what it gives away.
"""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

import psycopg

from policy.roles import ROLES
from tests.stack import Stack, eventually

PASSWORD = "a long enough passphrase"
WORD = "zugvogel"
"""Every object is found by it."""

PLACES = ("north", "south", "nobody")


def secret() -> str:
    """Twelve letters that nobody would guess, and that a search engine takes for one word."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(12))


@dataclass(frozen=True)
class Thing:
    """``resource`` as the API names it; ``secrets`` are words of its text."""

    resource: str
    key: str
    place: str
    secrets: tuple[str, ...]


@dataclass
class Plot:
    stack: Stack
    things: list[Thing] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    """Username → role."""

    def of(self, resource: str) -> list[Thing]:
        return [thing for thing in self.things if thing.resource == resource]

    @property
    def secrets(self) -> set[str]:
        return {word for thing in self.things for word in thing.secrets}


def lay(stack: Stack) -> Plot:
    """Makes the people and objects, and waits until every reader has them."""
    plot = Plot(stack)
    token = stack.token()

    def make(path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, answer, _ = stack.call("POST", f"/api/{path}", body, token=token)
        assert status == 201, (path, status, answer)
        return dict(answer)

    mark = secret()
    territory = {
        name: make("identity/territories", {"name": f"{name} {mark}", "country_code": "US", "group_name": "Leaks"})[
            "id"
        ]
        for name in ("north", "south")
    }
    team = {name: make("identity/teams", {"name": f"{name} {mark}"})["id"] for name in ("north", "south")}
    owners: dict[str, str] = {}
    for role in (*ROLES, "roleless"):
        username = f"{role.replace('_', '-')}-{mark}"
        person = {
            "username": username,
            "display_name": f"{role} {mark}",
            "password": PASSWORD,
            "roles": [role] if role in ROLES else [],
            "team_id": team["north"],
            "territory_ids": [territory["north"]],
        }
        owners[role] = make("identity/users", person)["id"]
        plot.users[username] = role
    product = make("inventory/products", {"sku": f"LK-{mark}", "name": f"Zugvogel {mark}", "list_price": "10"})["id"]
    scopes = {
        name: {"territory_id": territory.get(name), "team_id": team.get(name), "owner_id": None} for name in PLACES
    }
    # A row of the north may belong to an account of the south: whoever sees the row learns nothing of the account.
    accounts: dict[str, str] = {}
    for place in PLACES:
        words = (secret(), secret())
        account = {
            "name": f"Zugvogel {words[0]}",
            "account_type": "Customer",
            "industry": f"Zugvogel {words[1]}",
            **scopes[place],
        }
        accounts[place] = make("contacts/accounts", account)["account_uuid"]
        plot.things.append(Thing("contacts.account", accounts[place], place, words))

    def known() -> bool:
        paths = [f"products/{product}", *(f"account-profiles/{key}" for key in accounts.values())]
        return all(stack.call("GET", f"/api/orders/{path}", token=token)[0] == 200 for path in paths)

    eventually(known, 60, "Orders knows the accounts and the product")
    for place, of in (*((place, place) for place in PLACES), ("north", "south")):
        words = (secret(), secret())
        contact = {
            "account_uuid": accounts[of],
            "first_name": "Zugvogel",
            "last_name": words[0],
            "email": f"{words[1]}@example.com",
            **scopes[place],
        }
        plot.things.append(
            Thing("contacts.contact", make("contacts/contacts", contact)["id"], place, words),
        )
        words = (secret(),)
        order = {
            "account_uuid": accounts[of],
            "purchase_order_number": f"Zugvogel {words[0]}",
            "lines": [{"product_id": product, "quantity": "1"}],
            **scopes[place],
        }
        plot.things.append(Thing("orders.sales_order", make("orders/sales-orders", order)["id"], place, words))
    _await_readers(plot, token)
    return plot


def _await_readers(plot: Plot, token: str) -> None:
    orders = [thing.key for thing in plot.of("orders.sales_order")]
    with psycopg.connect(plot.stack.config.warehouse_url("postgres"), autocommit=True) as warehouse:

        def in_marts() -> bool:
            found = warehouse.execute(
                "select (select count(*) from marts.fct_sales_order where order_id = any(%s)),"
                " (select count(*) from log.queue)",
                [orders],
            ).fetchone()
            return found == (len(orders), 0)

        eventually(in_marts, 120, "marts, search and lake have everything")

    def found() -> bool:
        path = f"/api/search?q={WORD}&entity=order"
        _, answer, _ = plot.stack.call("GET", path, token=token)
        return all(thing.key in json.dumps(answer) for thing in plot.of("orders.sales_order"))

    eventually(found, 60, "search finds the orders")

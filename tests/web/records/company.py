"""A small company in a running installation, made through the API: its people, an account with all around it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg

from tests.stack import Stack, eventually

PASSWORD = "a long enough passphrase"
LONG = "Société Générale de Distribution Internationale et de Logistique Müller-Lüdenscheidt & Söhne " * 2
HOSTILE = "<img src=x onerror=alert(1)><script>alert('x')</script>{{ 7|add:7 }}\"'&"


@dataclass
class Company:
    """``ids`` are the keys of what was made, by short names."""

    stack: Stack
    ids: dict[str, str] = field(default_factory=dict)
    _token: tuple[str, float] = ("", 0.0)

    @property
    def token(self) -> str:
        """The administrator's, bought anew in time."""
        if self._token[1] < time.monotonic():
            self._token = (self.stack.token(), time.monotonic() + 300)
        return self._token[0]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """An API call of the administrator's that must succeed; the decoded answer."""
        status, answer, _ = self.stack.call(method, path, body, token=self.token, headers=headers)
        assert status < 300, (path, status, answer)
        return answer

    def account(self, name: str, **more: Any) -> str:
        """A new account of the north; its id."""
        body = {"name": name, "account_type": "Customer", "territory_id": self.ids["north"], **more}
        return str(self.call("POST", "/api/contacts/accounts", body)["account_uuid"])

    def orders_know(self, account: str) -> Any:
        """What Orders knows of the account; None while it does not know it."""
        status, found, _ = self.stack.call("GET", f"/api/orders/account-profiles/{account}", token=self.token)
        return found if status == 200 else None

    def landed(self) -> None:
        """Waits until everything that was written stands in mirrors and marts, and services know each other's news."""
        with psycopg.connect(self.stack.config.warehouse_url(), autocommit=True) as warehouse:

            def count(query: str) -> Any:
                return warehouse.execute(query.encode()).fetchone()

            marker = self.account(f"Marker {uuid4()}")
            eventually(lambda: count(f"select 1 from reporting.c360_account where account_uuid = '{marker}'"), 60)
            eventually(lambda: count("select count(*) from log.queue where consumer = 'refresh'") == (0,), 60)
            eventually(lambda: count(f"select 1 from raw_finance.account_profile where account_uuid = '{marker}'"), 60)


def found(stack: Stack) -> Company:
    """Makes the company. Alice sells in the north, Bob has no role there, Charlie sells in the south, Dana keeps the
    books, Erin leads the north."""
    company = Company(stack)
    ids = company.ids
    for name in ("north", "south"):
        body = {"name": name.capitalize(), "country_code": "US", "group_name": "America"}
        ids[name] = company.call("POST", "/api/identity/territories", body)["id"]
    ids["team"] = company.call("POST", "/api/identity/teams", {"name": "Northern sales"})["id"]
    for username, shown, roles, territory in (
        ("alice", "Alice Reyes", ["sales_rep"], "north"),
        ("bob", "Bob Miller", [], "north"),
        ("charlie", "Charlie Castillo", ["sales_rep"], "south"),
        ("dana", "Dana Dvořák", ["accountant"], "north"),
        ("erin", "Erin Eriksen", ["sales_manager"], "north"),
        ("walt", "Walt Whitman", ["warehouse_clerk"], "north"),
    ):
        person = {
            "username": username,
            "display_name": shown,
            "password": PASSWORD,
            "roles": roles,
            "team_id": ids["team"],
            "territory_ids": [ids[territory]],
        }
        ids[username] = company.call("POST", "/api/identity/users", person)["id"]
    bikes = company.call("POST", "/api/inventory/product-categories", {"name": "Bikes"})["id"]
    mountain = {"name": "Mountain bikes", "parent_id": bikes}
    ids["category"] = company.call("POST", "/api/inventory/product-categories", mountain)["id"]
    for name, sku, price in (("bike", "BK-M68B", "2319.99"), ("helmet", "HL-U509", "34.99")):
        product = {"sku": sku, "name": f"Mountain {name}", "list_price": price, "category_id": ids["category"]}
        ids[name] = company.call("POST", "/api/inventory/products", product)["id"]
    ids["parent"] = company.account("Alpine Holding")
    ids["acme"] = company.account(
        "Acme Bicycles",
        industry="Retail",
        annual_revenue="1250000",
        parent_id=ids["parent"],
        owner_id=ids["alice"],
        team_id=ids["team"],
        billing_address={
            "line1": "1 Main St",
            "city": "Seattle",
            "region": "WA",
            "postal_code": "98101",
            "country": "US",
        },
    )
    ids["empty"] = company.account("Nothing Yet Ltd")
    contact = {
        "account_uuid": ids["acme"],
        "first_name": "Ann",
        "last_name": "Lee",
        "phone": "+1 206 555 0100",
        "email": "ann.lee@acme.example",
        "job_title": "Buyer",
        "territory_id": ids["north"],
    }
    ids["ann"] = company.call("POST", "/api/contacts/contacts", contact)["id"]
    _order(company)
    company.landed()
    return company


def _order(company: Company) -> None:
    """A closed order of each of three years, and one that is being written."""

    def known() -> bool:
        paths = (f"products/{company.ids['helmet']}", f"account-profiles/{company.ids['acme']}")
        return all(company.stack.call("GET", f"/api/orders/{path}", token=company.token)[0] == 200 for path in paths)

    eventually(known, 60, "Orders knows the account and the products")
    for year, quantity in ((2023, "2"), (2024, "5"), (2025, "3")):
        order = draft(
            company, company.ids["acme"], order_date=f"{year}-03-01", lines=[_line(company, "bike", quantity)]
        )
        for verb, body in (("confirm", {}), ("ship", {"ship_date": f"{year}-03-04"}), ("close", {})):
            company.call("POST", f"/api/orders/sales-orders/{order}/{verb}", body)
    lines = [_line(company, "bike", "1"), _line(company, "helmet", "4", discount="0.05")]
    company.ids["draft"] = draft(company, company.ids["acme"], tax_amount="12.5", freight="20", lines=lines)
    company.ids["closed"] = order


def draft(company: Company, account: str, **more: Any) -> str:
    body = {"account_uuid": account, "territory_id": company.ids["north"], **more}
    return str(company.call("POST", "/api/orders/sales-orders", body)["id"])


def _line(company: Company, product: str, quantity: str, **more: Any) -> dict[str, Any]:
    return {"product_id": company.ids[product], "quantity": quantity, **more}

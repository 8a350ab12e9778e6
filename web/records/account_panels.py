"""The panels of an account: people, orders, credit, hierarchy, history, and its 360."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from bi.account_360 import account_360
from bi.sales_by_year import sales_by_year
from web.records.account import PAGE
from web.records.account_actions import PROFILE, read_profile
from web.records.charts import bars
from web.records.contact import CONTACT
from web.records.contact import UPDATE as UPDATE_CONTACT
from web.records.drill import orders_of, sales_of
from web.records.facts import Facts, amount, choice, text
from web.records.history import history
from web.records.panels import Panel, Panels, Watermark
from web.records.source import Record
from web.requests import PageRequest

SOME = 5
"""Rows that a side panel shows; its title leads to all of them."""
TERMS = ("Net 10", "Net 15", "Net 30", "Net 45", "Net 60", "Net 90", "Due on receipt", "Prepaid")

FINANCE = Facts(
    kind="finance",
    target="account_uuid",
    page=PAGE,
    below="finance",
    read=read_profile,
    facts=(
        amount("credit_limit", "Credit limit", "finance.set_credit_limit", required=True),
        choice("payment_terms", "Payment terms", "finance.set_payment_terms", TERMS, required=True),
        text("tax_id", "Tax ID", "finance.set_tax_id", max_length=40),
    ),
)


def section(request: PageRequest, key: UUID, *names: str) -> tuple[dict[str, Any], Watermark]:
    """Sections of the account's 360, and the watermark. Raises Problem."""
    found = orjson.loads(account_360(settings.HEADWATER_WAREHOUSE, request.reader.principal, key, names))
    return found, found["watermark"]


def _seen_by(request: PageRequest, object_type: str, key: str, data: Mapping[str, Any], *commands: str) -> Record:
    """A record as the read side shows it, with those commands that the reader's roles include."""
    allowed = [{"command": command} for command in commands if request.reader.may(command)]
    return Record(object_type, UUID(key), {**data, "allowed_actions": allowed})


def _contacts(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found, watermark = section(request, key, "contacts")
    primary = found["account"]["primary_contact_id"]
    people = sorted(found["contacts"] or [], key=lambda person: person["contact_id"] != primary)
    for person in people:
        record = _seen_by(request, "contacts.contact", person["contact_id"], person, UPDATE_CONTACT)
        person["facts"] = CONTACT.shown(record, "phone", "email")
        person["primary"] = person["contact_id"] == primary
    return {
        "people": people[:SOME],
        "everyone": people,
        "count": len(people),
        "page": f"{PAGE}/{key}",
        "may_create": request.reader.may("contacts.create_contact"),
    }, watermark


def _orders(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found, watermark = section(request, key, "orders")
    orders = found["orders"] or []
    currencies = {order["currency"] for order in orders}
    return {
        "orders": orders[:SOME],
        "latest": orders,
        "count": len(orders),
        "currency": currencies.pop() if len(currencies) == 1 else "",
        "page": f"{PAGE}/{key}",
        "list": orders_of(found["account"]["account_number"]),
        "may_create": request.reader.may("orders.create_sales_order"),
    }, watermark


def _credit(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found, watermark = section(request, key, "finance")
    finance = found["finance"]
    if finance is None:
        return {"finance": None}, watermark
    record = _seen_by(
        request,
        PROFILE,
        str(key),
        finance,
        "finance.set_credit_limit",
        "finance.set_payment_terms",
        "finance.set_tax_id",
    )
    limit, due = float(finance["credit_limit"]), float(finance["balance_due"])
    return {
        "finance": finance,
        "facts": FINANCE.shown(record),
        "used": min(100, max(0, round(100 * due / limit))) if limit else (100 if due > 0 else 0),
        "over": due > limit,
    }, watermark


def _hierarchy(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found, watermark = section(request, key, "hierarchy")
    return {"account": found["account"], **found["hierarchy"]}, watermark


def _history(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    return history(request, "account", key)


def _totals(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found, watermark = section(request, key, "totals")
    number = found["account"]["account_number"]
    return {"totals": found["totals"], "list": sales_of(number)}, watermark


def _sales(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found = sales_by_year(settings.HEADWATER_WAREHOUSE, request.reader.principal, key)
    for year in found["years"]:
        year["url"] = sales_of(found["account_number"], year["year"])
    own = [year for year in found["years"] if year["currency"] == found["currency"]]
    return {
        "years": found["years"],
        "currency": found["currency"],
        "chart": bars([(str(y["year"]), y["line_net"], y["order_count"], y["url"]) for y in own]),
        "mixed": len(own) != len(found["years"]),
    }, found["watermark"]


ACCOUNT_PANELS = Panels(
    PAGE,
    (
        Panel("contacts", "Contacts", "contacts.contact.read", "records/panel_contacts.html", _contacts, 6),
        Panel("orders", "Last orders", "orders.sales_order.read", "records/panel_orders.html", _orders, 6),
        Panel("credit", "Credit and balance", "finance.account_profile.read", "records/panel_credit.html", _credit, 6),
        Panel("hierarchy", "Hierarchy", "contacts.account.read", "records/panel_hierarchy.html", _hierarchy, 3),
        Panel("history", "History", "contacts.account.read", "records/panel_history.html", _history, 10),
        Panel("people", "All contacts", "contacts.contact.read", "records/panel_people.html", _contacts, 10),
        Panel("latest", "Latest orders", "orders.sales_order.read", "records/panel_latest.html", _orders, 10),
        Panel("totals", "Lifetime", "contacts.account.read", "records/panel_totals.html", _totals, 4, of_totals=True),
        Panel(
            "sales", "Sales by year", "orders.sales_order.read", "records/panel_sales.html", _sales, 10, of_totals=True
        ),
    ),
)
SIDE = ("contacts", "orders", "credit", "hierarchy")

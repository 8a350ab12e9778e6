"""Orders: the header, its lines, and the way from draft to closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from transactional.kernel.calls import fetch
from transactional.kernel.problems import Problem
from web.addresses import record as page_of
from web.forms import Field
from web.records.account import named, people
from web.records.actions import Action, Actions
from web.records.facts import Facts, address, amount, choice, day, text
from web.records.source import Record, ask, read, seen
from web.requests import PageRequest

OBJECT, PAGE = "orders.sales_order", "/orders"
NAMED = ("account_uuid", "salesperson_id", "owner_id", "team_id", "territory_id")
UPDATE = "orders.update_sales_order"
CHANNELS = ("online", "reseller", "direct")


def read_order(request: PageRequest, key: UUID) -> Record:
    """The order with its lines, and under ``account`` what Orders knows of its account; while Orders gives no answer,
    as the read side has it, without that. Raises Problem."""
    record = read(request, OBJECT, key, named=NAMED, otherwise=seen(request, OBJECT, key))
    record.data["account"] = _account(request, record)  # type: ignore[index]
    return record


def _account(request: PageRequest, record: Record) -> Mapping[str, Any] | None:
    """None where the reader may not see it, or Orders gives no answer."""
    if record.silent:
        return None
    try:
        found: Mapping[str, Any] = ask(
            lambda: fetch("orders.account_profile", UUID(record.data["account_uuid"]), request.reader.ctx())
        )
    except Problem:
        return None
    return found


def account_page(record: Record) -> str:
    return page_of("contacts.account", record.data["account_uuid"]) if record.name_of("account_uuid") else ""


def _confirm(record: Record) -> str | None:
    if record.data["status"] != "draft":
        return ""
    if not record.data["lines"]:
        return "Add a line first: there is nothing to confirm."
    account = record.data["account"]
    if account and account["account_status"] == "On Hold":
        return f"{account['name']} is on hold. Finance releases the hold."
    if account and account["account_status"] == "Inactive":
        return f"{account['name']} is inactive. Activate the account first."
    return None


def _ship(record: Record) -> str | None:
    return None if record.data["status"] == "confirmed" else ""


def _close(record: Record) -> str | None:
    return None if record.data["status"] == "shipped" else ""


def _cancel(record: Record) -> str | None:
    status = record.data["status"]
    if status in ("draft", "confirmed"):
        return None
    return "A shipped order cannot be cancelled." if status == "shipped" else ""


def number(record: Record) -> str:
    return str(record.data["order_number"])


ORDER_ACTIONS = Actions(
    page=PAGE,
    read=lambda request, key, action: read_order(request, key),
    names=number,
    actions=(
        Action(
            "confirm", "Confirm order", "orders.confirm_sales_order", "{} is confirmed.", _confirm, "id", tone="primary"
        ),
        Action(
            "ship",
            "Ship order",
            "orders.ship_sales_order",
            "{} is shipped.",
            _ship,
            "id",
            fields=(
                Field("ship_date", "Shipped on", "date", hint="Such as 3 Apr or 3/4; today unless given"),
                Field(
                    "carrier_tracking_number",
                    "Tracking number",
                    max_length=60,
                    hint="Goes to the lines that have none yet",
                ),
            ),
            tone="primary",
        ),
        Action("close", "Close order", "orders.close_sales_order", "{} is closed.", _close, "id", tone="primary"),
        Action(
            "cancel",
            "Cancel order",
            "orders.cancel_sales_order",
            "{} is cancelled.",
            _cancel,
            "id",
            fields=(Field("reason", "Reason", max_length=200, hint="Stands in the timeline", wide=True),),
            sure="A cancelled order stays as it is: it cannot be taken up again.",
            tone="danger",
            as_reason="reason",
        ),
    ),
)

ORDER = Facts(
    kind="order",
    target="id",
    page=PAGE,
    read=read_order,
    facts=(
        choice("channel", "Channel", UPDATE, CHANNELS, required=True),
        day("order_date", "Order date", UPDATE, required=True),
        day("due_date", "Due", UPDATE),
        named("salesperson_id", "Salesperson", UPDATE, people),
        text("purchase_order_number", "Customer's order number", UPDATE, max_length=60),
        text("shipping_method", "Shipping method", UPDATE),
        amount("tax_amount", "Tax", UPDATE, required=True),
        amount("freight", "Freight", UPDATE, required=True),
        address("billing_address", "Billing address", UPDATE),
        address("shipping_address", "Shipping address", UPDATE),
    ),
)

"""Products: what Inventory knows of one, its prices, and its withdrawal from sale."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from web import formats
from web.forms import Field
from web.records.account import named
from web.records.actions import Action, Actions
from web.records.facts import TITLE, Fact, Facts, Options, amount, text
from web.records.source import Record, options, read, seen
from web.requests import PageRequest

OBJECT, PAGE = "inventory.product", "/products"
READ, UPDATE = "inventory.product.read", "inventory.update_product"


def read_product(request: PageRequest, key: UUID) -> Record:
    """The product from Inventory; while that gives no answer, as the read side has it. Raises Problem."""
    return read(request, OBJECT, key, named=("category_id",), otherwise=seen(request, OBJECT, key))


def _categories(request: PageRequest, record: Record) -> Options:
    return options(request, "inventory.product_category", "name")


def _discontinue(record: Record) -> str | None:
    return None if record.data["is_active"] else ""


def fixed(name: str, label: str, shown: Any, *, figure: bool = False) -> Fact:
    """A fact that nobody edits here."""
    return Fact(name, label, "", (), shown, figure=figure)


PRODUCT_ACTIONS = Actions(
    page=PAGE,
    read=lambda request, key, action: read_product(request, key),
    names=lambda record: str(record.data["name"]),
    actions=(
        Action(
            "price",
            "Set price",
            "inventory.set_price",
            "The price of {} is set.",
            lambda record: None,
            "id",
            fields=(
                Field("amount", "Price", "amount", required=True),
                Field("valid_from", "Valid from", "date", hint="Such as 3 Apr or 3/4; today unless given"),
                Field("valid_to", "Valid until", "date", hint="Until further notice unless given"),
            ),
        ),
        Action(
            "discontinue",
            "Withdraw from sale",
            "inventory.discontinue_product",
            "{} is withdrawn from sale.",
            _discontinue,
            "id",
            fields=(Field("sell_end", "Last day", "date", hint="Such as 3 Apr or 3/4; today unless given"),),
            sure="No new order line can take it afterwards.",
            tone="danger",
        ),
    ),
)

PRODUCT = Facts(
    kind="product",
    target="id",
    page=PAGE,
    read=read_product,
    facts=(
        Fact(
            "name",
            "Name",
            UPDATE,
            (Field("name", "Name", required=True),),
            lambda record: record.data["name"],
            template=TITLE,
        ),
        text("sku", "SKU", UPDATE, required=True, max_length=60),
        named("category_id", "Category", UPDATE, _categories),
        text("color", "Color", UPDATE, max_length=60),
        text("size", "Size", UPDATE, max_length=60),
        fixed(
            "list_price",
            "List price",
            lambda record: (
                None
                if record.data["list_price"] is None
                else f"{formats.money(record.data['list_price'])} {record.data['currency']}"
            ),
            figure=True,
        ),
        amount("standard_cost", "Standard cost", UPDATE, required=True),
        fixed("sell_start", "Sold from", lambda record: formats.day(record.data["sell_start"])),
        fixed(
            "sell_end", "Sold until", lambda record: record.data["sell_end"] and formats.day(record.data["sell_end"])
        ),
    ),
)

"""The list pages there are: what each is called, its own views, what can be done with many rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bi.lists.columns import Listing
from bi.lists.declared import ACCOUNTS, CONTACTS, ORDERS, PRODUCTS
from web.session import Reader


@dataclass(frozen=True)
class OwnView:
    """A view that everybody has: a name and the query of its address."""

    name: str
    label: str
    query: str


@dataclass(frozen=True)
class Bulk:
    """A command on each chosen row. ``target`` is the field of the row's id, ``fixed`` go along; ``ask`` is a field
    that the person fills. ``undo`` names the bulk that takes it back. ``done`` completes "3 accounts …"."""

    name: str
    label: str
    command: str
    target: str
    done: str
    undo: str = ""
    ask: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Screen:
    listing: Listing
    title: str
    one: str
    views: Sequence[OwnView]
    bulk: Sequence[Bulk] = ()
    create: str = ""
    create_permission: str = ""
    create_label: str = ""
    empty: str = ""

    @property
    def name(self) -> str:
        return self.listing.name

    @property
    def url(self) -> str:
        return f"/{self.listing.name}"

    @property
    def service(self) -> str:
        """Whose access log says who took the list away."""
        return self.listing.object_type.partition(".")[0]

    def bulk_for(self, reader: Reader) -> list[Bulk]:
        return [bulk for bulk in self.bulk if reader.may(bulk.command)]


SCREENS = {
    screen.name: screen
    for screen in (
        Screen(
            ACCOUNTS,
            "Accounts",
            "account",
            (
                OwnView("all", "All", ""),
                OwnView("mine", "Mine", "mine=1"),
                OwnView("customers", "Customers", "type=Customer&status=Active&sort=-sales"),
                OwnView("hold", "On hold", "status=On+Hold&sort=-balance"),
                OwnView("quiet", "Without orders", "type=Customer&last_order.empty=1"),
            ),
            (
                Bulk(
                    "assign",
                    "Assign",
                    "contacts.assign_account",
                    "account_uuid",
                    "assigned",
                    ask="owner_id",
                ),
                Bulk(
                    "deactivate",
                    "Deactivate",
                    "contacts.deactivate_account",
                    "account_uuid",
                    "deactivated",
                    undo="activate",
                ),
                Bulk(
                    "activate", "Activate", "contacts.activate_account", "account_uuid", "activated", undo="deactivate"
                ),
            ),
            create="/accounts/new",
            create_permission="contacts.create_account",
            create_label="New account",
            empty="Customers, prospects, vendors and partners stand here.",
        ),
        Screen(
            CONTACTS,
            "Contacts",
            "contact",
            (OwnView("all", "All", ""), OwnView("mine", "Mine", "mine=1")),
            create="/contacts/new",
            create_permission="contacts.create_contact",
            create_label="New contact",
            empty="The people you talk to stand here, with the account each belongs to.",
        ),
        Screen(
            ORDERS,
            "Orders",
            "order",
            (
                OwnView("all", "All", ""),
                OwnView("open", "Open", "status=draft&status=confirmed"),
                OwnView("ship", "To ship", "status=confirmed&sort=due"),
                OwnView("mine", "Mine", "mine=1"),
            ),
            (
                Bulk("confirm", "Confirm", "orders.confirm_sales_order", "id", "confirmed"),
                Bulk("cancel", "Cancel orders", "orders.cancel_sales_order", "id", "cancelled"),
            ),
            create="/orders/new",
            create_permission="orders.create_sales_order",
            create_label="New order",
            empty="Sales orders stand here, the newest first.",
        ),
        Screen(
            PRODUCTS,
            "Products",
            "product",
            (
                OwnView("all", "All", ""),
                OwnView("sold", "On sale", "on_sale=yes"),
                OwnView("ended", "Discontinued", "on_sale=no"),
            ),
            (Bulk("discontinue", "Discontinue", "inventory.discontinue_product", "id", "discontinued"),),
            empty="What you sell stands here, with the price in force.",
        ),
    )
}

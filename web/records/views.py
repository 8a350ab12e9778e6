"""The pages of records: what each shows around its facts, and its tabs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from web.answers import Crumb, part, show
from web.pages import page
from web.records import account, account_actions, contact, lines, lookups, order, product
from web.records.account_actions import ACCOUNT_ACTIONS, OF_ACCOUNT, OF_PROFILE
from web.records.account_panels import ACCOUNT_PANELS, FINANCE, SIDE
from web.records.actions import Button
from web.records.facts import TITLE, Facts
from web.records.other_panels import CONTACT_PANELS, ORDER_PANELS, PRODUCT_PANELS
from web.records.source import Record
from web.requests import PageRequest

GET, BOTH = ("GET",), ("GET", "POST")


@dataclass(frozen=True)
class Tab:
    label: str
    url: str
    current: bool


def _tabs(base: str, here: str, tabs: Iterable[tuple[str, str]]) -> list[Tab]:
    return [Tab(label, f"{base}/{name}".rstrip("/"), name == here) for name, label in tabs]


def _record(
    request: PageRequest,
    facts: Facts,
    record: Record,
    *,
    section: str,
    buttons: Sequence[Button],
    blocks: Sequence[str],
    crumbs: Sequence[Crumb],
    template: str = "records/record.html",
    title: str = "",
    **more: Any,
) -> HttpResponse:
    """A record's page: its facts, buttons, blocks below, and ``more`` for the template.

    The fact that is its name is the heading; ``title`` where it has none.
    """
    shown = facts.shown(record)
    heading = next((fact for fact in shown if fact["template"] == TITLE), None)
    title = title or str(heading["shown"] if heading else "")
    context = {
        "record": record,
        "page": f"{facts.page}/{record.key}",
        "heading": heading,
        "facts": [fact for fact in shown if fact is not heading],
        "buttons": buttons,
        "blocks": blocks,
        "title": title,
        **more,
    }
    return show(request, template, context, title=title, section=section, crumbs=[*crumbs, Crumb(title)])


def _account(request: PageRequest, key: UUID, tab: str) -> HttpResponse:
    record = account.read_account(request, key)
    base = f"{account.PAGE}/{key}"
    shown = {"": ("history",), "orders": ("latest",), "contacts": ("people",), "360": ("totals", "sales")}[tab]
    blocks = ACCOUNT_PANELS.inline(request, key, shown) if tab else [ACCOUNT_PANELS.later(request, key, "history")]
    buttons = ACCOUNT_ACTIONS.buttons(request, record, only=OF_ACCOUNT)
    profile = account_actions.profile_or_silence(request, key)
    if profile is not None:
        buttons += ACCOUNT_ACTIONS.buttons(request, profile, only=OF_PROFILE)
    tabs = [("", "Overview")]
    tabs += [("orders", "Orders")] if request.reader.may("orders.sales_order.read") else []
    tabs += [("contacts", "Contacts")] if request.reader.may("contacts.contact.read") else []
    tabs += [("360", "360")]
    return _record(
        request,
        account.ACCOUNT,
        record,
        section="accounts",
        buttons=buttons,
        blocks=blocks,
        crumbs=[Crumb("Accounts", account.PAGE)],
        template="records/account.html",
        tabs=_tabs(base, tab, tabs),
        status=record.data["status"],
        number=record.data["account_number"],
        side=ACCOUNT_PANELS.inline(request, key, SIDE),
        may_order=request.reader.may("orders.create_sales_order"),
    )


def _related(request: PageRequest, page: str, key: UUID, name: str, section: str, side: Sequence[str]) -> HttpResponse:
    """What stands beside a record, as a page of its own for small screens."""
    base = f"{page}/{key}"
    crumbs = [Crumb(section.capitalize(), page), Crumb(name, base), Crumb("Related")]
    context = {"page": base, "title": name, "side": side}
    title = f"Related to {name}"
    return show(request, "records/related.html", context, title=title, section=section, crumbs=crumbs)


@page("contacts.account.read")
def account_overview(request: PageRequest, key: UUID) -> HttpResponse:
    return _account(request, key, "")


@page("contacts.account.read")
def account_tab(request: PageRequest, key: UUID, tab: str) -> HttpResponse:
    return _account(request, key, tab)


@page("contacts.account.read")
def account_related(request: PageRequest, key: UUID) -> HttpResponse:
    record = account.read_account(request, key)
    side = ACCOUNT_PANELS.inline(request, key, SIDE)
    return _related(request, account.PAGE, key, str(record.data["name"]), "accounts", side)


@page("contacts.account.read")
def account_panel(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return ACCOUNT_PANELS.view(request, key, name)


@page("contacts.account.read", methods=BOTH)
def account_fact(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return account.ACCOUNT.view(request, key, name)


@page("finance.account_profile.read", methods=BOTH)
def finance_fact(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return FINANCE.view(request, key, name)


@page("contacts.account.read", methods=BOTH)
def account_do(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return ACCOUNT_ACTIONS.view(request, key, name)


@page("contacts.contact.read")
def contact_page(request: PageRequest, key: UUID) -> HttpResponse:
    record = contact.read_contact(request, key)
    return _record(
        request,
        contact.CONTACT,
        record,
        section="contacts",
        buttons=[],
        blocks=[CONTACT_PANELS.later(request, key, "history")],
        crumbs=[Crumb("Contacts", contact.PAGE)],
    )


@page("contacts.contact.read")
def contact_panel(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return CONTACT_PANELS.view(request, key, name)


@page("contacts.contact.read", methods=BOTH)
def contact_fact(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return contact.CONTACT.view(request, key, name)


def _beside_order(request: PageRequest, record: Record) -> list[str]:
    return ACCOUNT_PANELS.inline(request, UUID(record.data["account_uuid"]), ("credit", "contacts"))


@page("orders.sales_order.read")
def order_related(request: PageRequest, key: UUID) -> HttpResponse:
    record = order.read_order(request, key)
    return _related(request, order.PAGE, key, order.number(record), "orders", _beside_order(request, record))


@page("orders.sales_order.read")
def order_page(request: PageRequest, key: UUID) -> HttpResponse:
    record = order.read_order(request, key)
    side = _beside_order(request, record)
    return _record(
        request,
        order.ORDER,
        record,
        section="orders",
        buttons=order.ORDER_ACTIONS.buttons(request, record),
        blocks=[ORDER_PANELS.later(request, key, "history")],
        crumbs=[Crumb("Orders", order.PAGE)],
        template="records/order.html",
        title=f"Order {order.number(record)}",
        status=record.data["status"],
        account_name=record.name_of("account_uuid"),
        account_url=order.account_page(record),
        side=side,
        **lines.lines_of(record),
    )


@page("orders.sales_order.read")
def order_panel(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return ORDER_PANELS.view(request, key, name)


@page("orders.sales_order.read", methods=BOTH)
def order_fact(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return order.ORDER.view(request, key, name)


@page("orders.sales_order.read", methods=BOTH)
def order_do(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return order.ORDER_ACTIONS.view(request, key, name)


@page("orders.sales_order.read")
def order_lines(request: PageRequest, key: UUID) -> HttpResponse:
    record = order.read_order(request, key)
    return part(request, "records/lines.html", lines.lines_of(record), title=f"Lines of {order.number(record)}")


@page("orders.add_line", methods=BOTH)
def line_new(request: PageRequest, key: UUID) -> HttpResponse:
    return lines.add(request, key)


@page("orders.update_line", methods=BOTH)
def line_edit(request: PageRequest, key: UUID, line_no: int) -> HttpResponse:
    return lines.change(request, key, line_no)


@page("orders.remove_line", methods=("POST",))
def line_remove(request: PageRequest, key: UUID, line_no: int) -> HttpResponse:
    return lines.remove(request, key, line_no)


BESIDE_PRODUCT = ("prices", "sold", "category")


@page("inventory.product.read")
def product_related(request: PageRequest, key: UUID) -> HttpResponse:
    record = product.read_product(request, key)
    side = PRODUCT_PANELS.inline(request, key, BESIDE_PRODUCT)
    return _related(request, product.PAGE, key, str(record.data["name"]), "products", side)


@page("inventory.product.read")
def product_page(request: PageRequest, key: UUID) -> HttpResponse:
    record = product.read_product(request, key)
    return _record(
        request,
        product.PRODUCT,
        record,
        section="products",
        buttons=product.PRODUCT_ACTIONS.buttons(request, record),
        blocks=[
            *PRODUCT_PANELS.inline(request, key, ("buyers",)),
            PRODUCT_PANELS.later(request, key, "history"),
        ],
        crumbs=[Crumb("Products", product.PAGE)],
        status="On sale" if record.data["is_active"] else "Withdrawn",
        status_tone="good" if record.data["is_active"] else "quiet",
        number=record.data["sku"],
        side=PRODUCT_PANELS.inline(request, key, BESIDE_PRODUCT),
    )


@page("inventory.product.read")
def product_panel(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return PRODUCT_PANELS.view(request, key, name)


@page("inventory.product.read", methods=BOTH)
def product_fact(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return product.PRODUCT.view(request, key, name)


@page("inventory.product.read", methods=BOTH)
def product_do(request: PageRequest, key: UUID, name: str) -> HttpResponse:
    return product.PRODUCT_ACTIONS.view(request, key, name)


@page()
def lookup(request: PageRequest, entity: str) -> HttpResponse:
    return lookups.offer(request, entity)

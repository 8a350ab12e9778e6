"""New accounts, contacts and draft orders: forms over their commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from transactional.kernel.calls import fetch
from transactional.kernel.problems import Problem
from web.addresses import record as page_of
from web.answers import Crumb, Toast, go, part
from web.commands import run
from web.forms import Field, Form
from web.pages import page
from web.records import account as accounts
from web.records import contact as contacts
from web.records import order as orders
from web.records.facts import ADDRESS_PARTS, in_sentence
from web.records.lookups import SEPARATOR, account_in
from web.records.source import ask
from web.requests import PageRequest

BOTH = ("GET", "POST")


@dataclass(frozen=True)
class New:
    """The form of a new record, whose id is ``key`` of the answer.

    ``reference`` is the field in which an account is typed by number or name; an address may name it (``?account=``).
    ``begin`` is what the form begins with; ``name`` what the toast calls the record made.
    """

    what: str
    object_type: str
    command: str
    key: str
    reference: str
    fields: tuple[Field, ...]
    name: Callable[[Mapping[str, Any]], str]
    begin: Mapping[str, str]

    def view(self, request: PageRequest, list_page: str, section: str) -> HttpResponse:
        status = 200
        form = Form.of(self.fields, {**self.begin, self.reference: _account_of(request)})
        if request.method == "POST":
            form = Form.sent(self.fields, request.POST)
            try:
                made = self._make(request, form)
            except Problem as problem:
                if problem.status == 401:
                    raise
                form.refuse(problem)
                made, status = None, problem.status
            if made is not None:
                toast = Toast(f"{self.name(made)} is there.")
                return go(request, page_of(self.object_type, made[self.key]), toast=toast)
            status = 422 if status == 200 else status
        context = {"form": form, "what": self.what, "action": request.get_full_path(), "cancel": list_page}
        title = f"New {self.what}"
        crumbs = [Crumb(in_sentence(section), list_page), Crumb(title)]
        return part(request, "records/new.html", context, title=title, section=section, crumbs=crumbs, status=status)

    def _make(self, request: PageRequest, form: Form) -> Mapping[str, Any] | None:
        """The record; None where something typed cannot be read. Raises Problem."""
        payload = form.payload()
        if payload is None:
            return None
        if payload.get(self.reference):
            payload[self.reference] = account_in(request, payload[self.reference], self.reference)
        made: Mapping[str, Any] = run(request, self.command, payload).data
        return made


def _account_of(request: PageRequest) -> str | None:
    """The account that the address names, as the list of accounts offers it."""
    try:
        key = UUID(request.GET.get("account", ""))
        found = ask(lambda: fetch(accounts.OBJECT, key, request.reader.ctx()))
    except (ValueError, Problem):
        return None
    return SEPARATOR.join((found["account_number"], found["name"]))


def _address(name: str) -> tuple[Field, ...]:
    return tuple(Field(f"{name}.{part}", words, max_length=longest) for part, words, longest in ADDRESS_PARTS)


ACCOUNT = New(
    what="account",
    object_type=accounts.OBJECT,
    command="contacts.create_account",
    key="account_uuid",
    reference="parent_id",
    fields=(
        Field("name", "Name", required=True, wide=True, hint="As it stands on invoices"),
        Field("account_type", "Type", "select", options=[(word, word) for word in accounts.TYPES], required=True),
        Field("industry", "Industry"),
        Field("annual_revenue", "Annual revenue", "amount", hint="1,234.5 or 1.234,5"),
        Field("currency", "Currency", max_length=3, hint="Three letters; USD unless given"),
        Field("parent_id", "Parent account", lookup="account", hint="Name or number", wide=True),
        *_address("billing_address"),
    ),
    name=lambda made: str(made["name"]),
    begin={"account_type": "Prospect"},
)

CONTACT = New(
    what="contact",
    object_type=contacts.OBJECT,
    command="contacts.create_contact",
    key="id",
    reference="account_uuid",
    fields=(
        Field("first_name", "First name"),
        Field("last_name", "Last name", required=True),
        Field("account_uuid", "Account", lookup="account", hint="Name or number; empty for none", wide=True),
        Field("job_title", "Job title"),
        Field("title", "Form of address"),
        Field("email", "Email", "email", max_length=254),
        Field("phone", "Phone", "tel", max_length=40),
    ),
    name=lambda made: " ".join(filter(None, (made["first_name"], made["last_name"]))),
    begin={},
)

ORDER = New(
    what="order",
    object_type=orders.OBJECT,
    command="orders.create_sales_order",
    key="id",
    reference="account_uuid",
    fields=(
        Field("account_uuid", "Account", lookup="account", hint="Name or number", required=True, wide=True),
        Field(
            "channel",
            "Channel",
            "select",
            options=[(word, in_sentence(word)) for word in orders.CHANNELS],
            required=True,
        ),
        Field("currency", "Currency", max_length=3, hint="Three letters; USD unless given"),
        Field("order_date", "Order date", "date", hint="Such as 3 Apr or 3/4; today unless given"),
        Field("due_date", "Due", "date", hint="Such as 3 Apr or 3/4"),
        Field("purchase_order_number", "Customer's order number", max_length=60),
        Field("shipping_method", "Shipping method", hint="The account's unless given"),
        Field("freight", "Freight", "amount", hint="1,234.5 or 1.234,5"),
        Field("tax_amount", "Tax", "amount"),
    ),
    name=lambda made: str(made["order_number"]),
    begin={"channel": "direct"},
)


@page("contacts.create_account", methods=BOTH)
def account(request: PageRequest) -> HttpResponse:
    return ACCOUNT.view(request, accounts.PAGE, "accounts")


@page("contacts.create_contact", methods=BOTH)
def contact(request: PageRequest) -> HttpResponse:
    return CONTACT.view(request, contacts.PAGE, "contacts")


@page("orders.create_sales_order", methods=BOTH)
def order(request: PageRequest) -> HttpResponse:
    return ORDER.view(request, orders.PAGE, "orders")

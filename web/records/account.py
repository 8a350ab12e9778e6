"""Accounts: what is known of one, and what of it can be changed where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from bi.account_360 import account_360
from bi.fields import in_words
from web.addresses import record as page_of
from web.forms import Field
from web.records.facts import TITLE, Fact, Facts, Options, address, amount, choice, text
from web.records.lookups import account_in
from web.records.source import Record, options, read
from web.requests import PageRequest

OBJECT, PAGE = "contacts.account", "/accounts"
NAMED = ("owner_id", "team_id", "territory_id", "parent_id", "primary_contact_id")
TYPES = ("Customer", "Vendor", "Partner", "Prospect")
UPDATE, ASSIGN = "contacts.update_account", "contacts.assign_account"


def read_account(request: PageRequest, key: UUID) -> Record:
    """The account from Contacts; while that gives no answer, as the read side has it. Raises Problem."""

    def otherwise() -> tuple[Mapping[str, Any], str | None]:
        found = orjson.loads(account_360(settings.HEADWATER_WAREHOUSE, request.reader.principal, key, ()))
        oldest = min((mark["as_of"] for mark in found["watermark"].values()), default=None)
        return found["account"], oldest

    return read(request, OBJECT, key, named=NAMED, otherwise=otherwise, flat=_flat)


def _flat(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The primary contact's id as a column of its own, as the read side has it."""
    if "primary_contact" not in data:
        return data
    primary = data["primary_contact"] or {}
    return {**data, "primary_contact_kind": primary.get("kind"), "primary_contact_id": primary.get("id")}


def people(request: PageRequest, record: Record) -> Options:
    return options(request, "identity.user_account", "display_name", is_active="true")


def teams(request: PageRequest, record: Record) -> Options:
    return options(request, "identity.team", "name")


def territories(request: PageRequest, record: Record) -> Options:
    return options(request, "identity.territory", "name")


def _contacts(request: PageRequest, record: Record) -> Options:
    found = options(request, "contacts.contact", ("first_name", "last_name"), account_uuid=str(record.key))
    present = record.data.get("primary_contact_id")
    if present and present not in [value for value, _ in found]:
        found.append((present, record.name_of("primary_contact_id") or "The present one"))
    return found


def named(name: str, label: str, command: str, choose: Any) -> Fact:
    """A fact that names somebody or something, chosen from a list."""
    return Fact(
        name,
        label,
        command,
        (Field(name, label, "select"),),
        lambda record: record.name_of(name) or ("Name not available" if record.data.get(name) else None),
        options=choose,
    )


def _primary(request: PageRequest, record: Record, payload: dict[str, Any]) -> dict[str, Any]:
    chosen = payload["primary_contact_id"]
    same = chosen == record.data.get("primary_contact_id")
    kind = record.data["primary_contact_kind"] if same else "contact"
    return {"primary_contact": {"kind": kind, "id": chosen} if chosen else None}


def _parent(request: PageRequest, record: Record, payload: dict[str, Any]) -> dict[str, Any]:
    typed = payload["parent_id"]
    return {"parent_id": account_in(request, typed, "parent_id") if typed else None}


def _parent_text(record: Record) -> Mapping[str, Any]:
    return {"parent_id": record.name_of("parent_id")}


def _contact_page(record: Record) -> str:
    is_contact = record.data.get("primary_contact_kind") == "contact"
    return page_of("contacts.contact", record.data["primary_contact_id"]) if is_contact else ""


def _parent_page(record: Record) -> str:
    seen = record.name_of("parent_id")
    return page_of(OBJECT, record.data["parent_id"]) if seen else ""


def _custom(record: Record) -> list[Fact]:
    """A customer's own fields, those that are text."""
    return [
        Fact(
            f"custom.{name}",
            in_words(name),
            UPDATE,
            (Field(f"custom.{name}", in_words(name)),),
            lambda record, name=name: _text(record.data["custom"].get(name)),  # type: ignore[misc]
        )
        for name in sorted(record.data.get("custom") or {})
        if "." not in name and "/" not in name
    ]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


NAME = Fact(
    "name",
    "Name",
    UPDATE,
    (Field("name", "Name", required=True),),
    lambda record: record.data["name"],
    template=TITLE,
)

ACCOUNT = Facts(
    kind="account",
    target="account_uuid",
    page=PAGE,
    read=read_account,
    facts=(
        NAME,
        choice("account_type", "Type", UPDATE, TYPES, required=True),
        text("industry", "Industry", UPDATE),
        amount("annual_revenue", "Annual revenue", UPDATE),
        text("currency", "Currency", UPDATE, required=True, max_length=3, hint="Three letters, such as USD"),
        named("owner_id", "Owner", ASSIGN, people),
        named("team_id", "Team", ASSIGN, teams),
        named("territory_id", "Territory", ASSIGN, territories),
        Fact(
            "primary_contact_id",
            "Primary contact",
            "contacts.set_primary_contact",
            (Field("primary_contact_id", "Primary contact", "select"),),
            lambda record: record.name_of("primary_contact_id"),
            options=_contacts,
            adapt=_primary,
            link=_contact_page,
        ),
        Fact(
            "parent_id",
            "Parent account",
            "contacts.set_parent",
            (Field("parent_id", "Parent account", lookup="account", hint="Name or number; empty for none"),),
            lambda record: (
                record.name_of("parent_id") or ("Not yours to see" if record.data.get("parent_id") else None)
            ),
            values=_parent_text,
            adapt=_parent,
            link=_parent_page,
        ),
        address("billing_address", "Billing address", UPDATE),
        address("shipping_address", "Shipping address", UPDATE),
    ),
    more=_custom,
)

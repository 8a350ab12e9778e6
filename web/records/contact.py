"""Contacts: what is known of a person, changed where it stands, also in the panels of accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from web.addresses import record as page_of
from web.forms import Field
from web.noting import note
from web.records.account import named, people, teams, territories
from web.records.facts import TITLE, Fact, Facts, text
from web.records.lookups import account_in
from web.records.source import Record, Seen, read, seen
from web.requests import PageRequest

OBJECT, PAGE = "contacts.contact", "/contacts"
NAMED = ("account_uuid", "owner_id", "team_id", "territory_id")
READ, UPDATE, ASSIGN = "contacts.contact.read", "contacts.update_contact", "contacts.assign_contact"


def read_contact(request: PageRequest, key: UUID) -> Record:
    """The contact from Contacts, which notes that somebody read it; while that gives no answer, as the read side has
    it, which is noted here. Raises Problem."""

    def otherwise() -> Seen:
        found = seen(request, OBJECT, key)()
        note(
            request.reader,
            "read",
            READ,
            service="identity",
            resource=OBJECT,
            resource_id=str(key),
            detail="from the read side: Contacts gave no answer",
        )
        return found

    return read(request, OBJECT, key, named=NAMED, otherwise=otherwise)


def full_name(record: Record) -> str:
    return " ".join(filter(None, (record.data["first_name"], record.data["last_name"])))


def _account(request: PageRequest, record: Record, payload: dict[str, Any]) -> dict[str, Any]:
    typed = payload["account_uuid"]
    return {"account_uuid": account_in(request, typed, "account_uuid") if typed else None}


def _account_page(record: Record) -> str:
    return page_of("contacts.account", record.data["account_uuid"]) if record.name_of("account_uuid") else ""


CONTACT = Facts(
    kind="contact",
    target="id",
    page=PAGE,
    read=read_contact,
    facts=(
        Fact(
            "name",
            "Name",
            UPDATE,
            (Field("first_name", "First name"), Field("last_name", "Last name", required=True)),
            full_name,
            template=TITLE,
        ),
        Fact(
            "account_uuid",
            "Account",
            UPDATE,
            (Field("account_uuid", "Account", lookup="account", hint="Name or number; empty for none"),),
            lambda record: (
                record.name_of("account_uuid") or ("Not yours to see" if record.data.get("account_uuid") else None)
            ),
            values=lambda record: {"account_uuid": record.name_of("account_uuid")},
            adapt=_account,
            link=_account_page,
        ),
        text("job_title", "Job title", UPDATE),
        text("email", "Email", UPDATE, kind="email", max_length=254),
        text("phone", "Phone", UPDATE, kind="tel", max_length=40),
        text("title", "Form of address", UPDATE),
        named("owner_id", "Owner", ASSIGN, people),
        named("team_id", "Team", ASSIGN, teams),
        named("territory_id", "Territory", ASSIGN, territories),
    ),
)

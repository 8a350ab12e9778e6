"""What the database refuses to the service's own role, whatever the program does."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

ACCOUNT = {
    "account_number": "X-1",
    "name": "Acme",
    "account_type": "Customer",
    "status": "Active",
    "hold_version": 0,
    "currency": "USD",
    "version": 1,
    "custom": "{}",
    "created_at": "2026-01-01",
    "updated_at": "2026-01-01",
}


@pytest.fixture
def contacts(world):
    """The service's role, in a transaction that is never committed."""
    with world.as_role("hw_contacts") as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


def insert(connection, table="account", **values):
    columns = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    connection.execute(f"insert into {table} ({columns}) values ({marks})".encode(), list(values.values()))


def account(connection, **values):
    made = ACCOUNT | {"account_uuid": uuid4(), "account_number": f"X-{uuid4().hex[:10]}"} | values
    insert(connection, **made)
    return made["account_uuid"]


@pytest.mark.parametrize(
    "values",
    [
        {"account_type": "Friend"},
        {"status": "Frozen"},
        {"status": "On Hold"},
        {"status_before_hold": "Active"},
        {"status": "On Hold", "status_before_hold": "On Hold"},
        {"primary_contact_kind": "contact"},
        {"primary_contact_id": uuid4()},
        {"primary_contact_kind": "robot", "primary_contact_id": uuid4()},
        {"annual_revenue": -1},
        {"annual_revenue": "NaN"},
    ],
)
def test_an_account_that_cannot_be(contacts, values):
    with pytest.raises(psycopg.errors.CheckViolation):
        account(contacts, **values)


def test_two_accounts_never_share_a_number(contacts):
    account(contacts, account_number="X-7")
    with pytest.raises(psycopg.errors.UniqueViolation):
        account(contacts, account_number="X-7")


def test_an_account_is_not_its_own_parent(contacts):
    own = account(contacts)
    with pytest.raises(psycopg.errors.CheckViolation):
        contacts.execute("update account set parent_id = account_uuid where account_uuid = %s", [own])


def test_an_account_with_children_stays(contacts):
    parent = account(contacts)
    account(contacts, parent_id=parent)
    contacts.execute("delete from account where account_uuid = %s", [parent])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        contacts.execute("set constraints all immediate")


@pytest.mark.parametrize(
    "statement",
    [
        "update outbox set type = 'X'",
        "delete from outbox",
        "truncate outbox",
        "delete from external_reference",
        "update access_log set kind = 'x'",
        "select * from finance.account_profile",
        "select * from orders.sales_order",
        "insert into identity.user_account (id) values (gen_random_uuid())",
        "alter table account disable trigger all",
        "drop trigger account_moved_below on account",
    ],
)
def test_what_is_not_the_roles_business(contacts, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        contacts.execute(statement.encode())

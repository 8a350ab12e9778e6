"""What tests ask of a whole installation in the Kafka profile."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.stack import Stack, eventually

WAIT = 120.0


def make_account(stack: Stack, token: str, name: str) -> str:
    content = {"name": name, "account_type": "Customer"}
    status, account, _ = stack.call("POST", "/api/contacts/accounts", content, token=token)
    assert status == 201, account
    return str(account["account_uuid"])


def try_account(stack: Stack, token: str, name: str) -> str | None:
    """None while something that was just killed is not back; the test waits for it."""
    try:
        return make_account(stack, token, name)
    except (AssertionError, OSError):
        return None


def account_360(stack: Stack, token: str, account: str) -> dict[str, Any]:
    """Once the account has come through."""

    def found() -> dict[str, Any] | None:
        status, view, _ = stack.call("GET", f"/api/360/accounts/{account}", token=token)
        return view if status == 200 else None

    view: dict[str, Any] = eventually(found, WAIT, f"account {account} in the 360")
    return view


def in_finance(stack: Stack, token: str, account: str) -> bool:
    """Whether Finance has its copy; not, while it gives no answer."""
    try:
        return stack.call("GET", f"/api/finance/account-profiles/{account}", token=token)[0] == 200
    except OSError:
        return False


def warehouse(stack: Stack, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def landed(stack: Stack, *accounts: str) -> dict[str, int]:
    """Account → how often its creation stands in the change log."""
    return dict(
        warehouse(
            stack,
            "select after ->> 'account_uuid', count(*) from log.change_log"
            " where table_name = 'account' and schema_name = 'contacts' and op = 'c'"
            " and after ->> 'account_uuid' = any(%s) group by 1",
            list(accounts),
        )
    )

"""Putting right what a hand has left wrong, in a running system."""

from __future__ import annotations

import psycopg
import pytest

from tests.stack import Stack, eventually


@pytest.fixture(scope="module")
def account(stack: Stack) -> str:
    """An account that Finance knows and that stands in the mirror."""
    token = stack.token()
    body = {"name": "Straight Ltd", "account_type": "Customer"}
    status, made, _ = stack.call("POST", "/api/contacts/accounts", body, token=token)
    assert status == 201
    key = str(made["account_uuid"])
    eventually(lambda: stack.call("GET", f"/api/finance/account-profiles/{key}", token=token)[0] == 200)
    return key


def test_a_replica_bent_by_hand_is_reported_and_mended(stack: Stack, account: str) -> None:
    with psycopg.connect(stack.config.service_url("finance", role="postgres"), autocommit=True) as finance:
        finance.execute("update finance.account_profile set name = 'Bent Ltd' where account_uuid = %s", [account])
        only_told = stack.run("reconcile", "replicas", "--dry-run", check=False)
        assert only_told.returncode == 3
        assert f"different {account}: name is 'Bent Ltd', should be 'Straight Ltd'" in only_told.stdout
        assert "1 differ, 1 mended" in stack.run("reconcile", "replicas").stdout
        found = finance.execute("select name from finance.account_profile where account_uuid = %s", [account])
        assert found.fetchone() == ("Straight Ltd",)
    again = stack.run("reconcile", "replicas").stdout
    assert "1 differ" not in again


def test_a_mart_emptied_by_hand_is_rebuilt(stack: Stack, account: str) -> None:
    def stands() -> bool:
        row = warehouse.execute("select from marts.dim_account where account_uuid = %s", [account]).fetchone()
        return row is not None

    with psycopg.connect(stack.config.warehouse_url("postgres"), autocommit=True) as warehouse:
        eventually(stands)
        warehouse.execute("delete from marts.dim_account where account_uuid = %s", [account])
        assert "success" in stack.run("rebuild", "dim_account").stdout
        assert stands()


def test_a_model_that_does_not_exist_is_named(stack: Stack) -> None:
    refused = stack.run("rebuild", "dim_unicorn", check=False)
    assert refused.returncode == 1
    assert "dim_unicorn" in refused.stderr


@pytest.mark.parametrize("command", [("rebuild",), ("reconcile", "replicas"), ("repair", "x"), ("parked", "list")])
def test_mending_needs_a_running_system(command: tuple[str, ...]) -> None:
    idle = Stack()
    try:
        refused = idle.run(*command, check=False)
        assert refused.returncode == 1
        assert "start it with `headwater up`" in refused.stderr
    finally:
        idle.close()

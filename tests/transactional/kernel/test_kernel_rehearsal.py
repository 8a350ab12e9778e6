"""A rehearsal gives a command's answer and leaves nothing behind; it never leaves the process."""

from __future__ import annotations

import pytest

from tests.cast import the_cast
from tests.world import World
from transactional.kernel.calls import execute, post
from transactional.kernel.problems import Forbidden
from transactional.kernel.registry import RegistryError

TABLES = ("account", "external_reference", "outbox", "idempotency_key")


def test_the_answer_is_the_real_one_and_nothing_stays(world: World) -> None:
    alice = the_cast("sales_rep").alice
    before = [world.count(f"contacts.{table}") for table in TABLES]
    rows = [
        {"key": {"source": "elsewhere", "key": "1"}, "data": {"name": "Acme"}},
        {"data": {"name": ""}},
        {"data": {"name": "Too rich", "annual_revenue": "-1"}},
    ]
    ctx = alice.ctx(rehearsal=True, idempotency_key="rehearsed")
    answer = execute("contacts.create_accounts", {"rows": rows}, ctx)
    assert [verdict["status"] for verdict in answer.data["verdicts"]] == ["created", "rejected", "rejected"]
    assert [world.count(f"contacts.{table}") for table in TABLES] == before
    earnest = execute("contacts.create_accounts", {"rows": rows}, alice.ctx(idempotency_key="rehearsed"))
    assert (earnest.data["created"], earnest.replayed) == (1, False)


def test_who_may_not_may_not_rehearse_either(world: World) -> None:
    cast = the_cast("sales_rep")
    with pytest.raises(Forbidden):
        execute("contacts.create_account", {"name": "Acme"}, cast.bob.ctx(rehearsal=True))


def test_no_rehearsal_is_sent_to_another_process(world: World) -> None:
    with pytest.raises(RegistryError, match="cannot be rehearsed"):
        post("contacts", "/api/contacts/accounts", {"name": "Acme"}, the_cast("sales_rep").alice.ctx(rehearsal=True))

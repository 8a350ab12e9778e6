"""Search in a whole installation: from a command to an answer, and the commands that mend it."""

from __future__ import annotations

from typing import Any

from tests.stack import Stack, eventually


def search(stack: Stack, token: str, q: str) -> list[dict[str, Any]]:
    status, answer, _ = stack.call("GET", f"/api/search?q={q}", token=token)
    return [hit for group in answer["groups"] for hit in group["hits"]] if status == 200 else []


def test_what_a_command_wrote_is_found_and_search_can_be_compared_and_rebuilt(stack: Stack) -> None:
    token = stack.token()
    body = {"name": "Zephyrine Velocipedes", "account_type": "Customer"}
    status, account, _ = stack.call("POST", "/api/contacts/accounts", body, token=token)
    assert status == 201
    (hit,) = eventually(lambda: search(stack, token, "zephir"), timeout=60, what="the account is found")
    assert (hit["entity"], hit["id"]) == ("account", account["account_uuid"])

    report = stack.status()["search"]
    assert (report["engine"], report["problem"], report["refused"]) == ("tantivy", None, 0)
    assert {index["entity"]: index["problem"] for index in report["indexes"]} == dict.fromkeys(
        ("account", "contact", "product", "order")
    )

    said = stack.run("reconcile", "search").stdout
    assert "account: 1 documents, 0 differ" in said
    said = stack.run("rebuild", "--search").stdout
    assert "account: 1 documents in" in said
    assert search(stack, token, "zephyrine")

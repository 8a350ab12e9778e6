"""A storm's client settles every write, whatever answers it: nobody may wait for a load that writes no more."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import httpx
import pytest

from tests.storm import clients
from tests.storm.clients import Client, Clients
from tests.storm.ledger import Ledger


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PATIENCE", 0.3)


def client(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    fleet = Clients(lambda: "http://storm", lambda: "token", Ledger(), count=1)
    made = Client(fleet, random.Random(1), 0)
    made.http = httpx.Client(transport=httpx.MockTransport(answer))
    return made


def settle(made: Client) -> dict[str, object] | None:
    """The outcome of one write of a client that was told to stop; fails if it never comes."""
    made.fleet._stop.set()
    outcome: list[dict[str, object] | None] = []
    thread = threading.Thread(
        target=lambda: outcome.append(made.send("token", "create account", "/accounts", {})), daemon=True
    )
    thread.start()
    thread.join(10)
    assert outcome, "the write was never settled"
    return outcome[0]


def test_a_server_that_believes_no_token_does_not_keep_a_client_for_ever() -> None:
    """As another installation does that listens on the same port."""
    made = client(lambda _: httpx.Response(401, json={"detail": "The key is unknown."}))
    assert settle(made) is None
    assert made.fleet.ledger.refusals["401: The key is unknown."] >= 1
    assert "0 writes acknowledged" in made.fleet.describe()


def test_an_answer_that_is_no_problem_document_is_a_refusal_all_the_same() -> None:
    made = client(lambda _: httpx.Response(404, text="<html>nothing here</html>"))
    assert settle(made) is None
    assert made.fleet.ledger.writes[0].refused is not None


def test_a_token_that_cannot_be_renewed_is_waited_for() -> None:
    answers = iter([httpx.Response(401, json={}), httpx.Response(201, json={"account_uuid": "1"})])
    made = client(lambda _: next(answers))

    def unavailable() -> str:
        raise AssertionError("identity's database is down")

    made.fleet._token = unavailable
    assert settle(made) == {"account_uuid": "1"}

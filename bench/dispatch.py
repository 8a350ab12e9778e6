"""Events between services: how fast they are dispatched and applied, and how long after a commit the replicas follow.

Measured on a running installation: outbox → slot → deliveries → inbox and replica of Finance and of Orders.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from bench.figure import Figure
from headwater.supervisor.hold import held
from tests.stack import Stack, eventually

ACCOUNTS = 20_000
BULK = 5_000
PACED = 1_000
RATE = 50.0
"""Commands a second while latency is measured: little enough that nothing queues on two cores."""

LATENCY = """
select extract(epoch from
    pg_xact_commit_timestamp(r.xmin) - pg_xact_commit_timestamp(a.xmin))::float as seconds
from contacts.account a
join {service}.account_profile r using (account_uuid)
where a.name like 'Paced %'
order by 1
"""


def run() -> Iterator[Figure]:
    stack = Stack()
    try:
        stack.up()
        with _connect(stack, "postgres") as server:
            server.execute("alter system set track_commit_timestamp = on")
        stack.down()
        stack.up()
        with _connect(stack, "stream") as stream:
            yield from _throughput(stack, stream)
        yield from _latency(stack)
    finally:
        stack.close()


def _throughput(stack: Stack, stream: psycopg.Connection[Any]) -> Iterator[Figure]:
    def waiting() -> int:
        row = stream.execute("select count(*) from stream.delivery").fetchone()
        return int(row[0]) if row else 0

    with held(stack.home, "jobs"):
        with held(stack.home, "dispatch"):
            for first in range(0, ACCOUNTS, BULK):
                _post(stack, "/api/contacts/accounts/bulk", {"rows": [_row(n) for n in range(first, first + BULK)]})
            eventually(lambda: _landed(stack), timeout=120, what="what was loaded has landed")
        deliveries = 2 * ACCOUNTS
        seconds = _between(waiting, lambda n: n > 0, lambda n: n == deliveries)
        yield Figure(
            "dispatched",
            round(ACCOUNTS / seconds),
            "events/s",
            how=f"{ACCOUNTS:,} ACCOUNT_CREATED from the slot into {deliveries:,} deliveries, first to last",
        )
    seconds = _between(waiting, lambda n: n < deliveries, lambda n: n == 0)
    yield Figure.at_least(
        "applied",
        round(deliveries / seconds),
        2_000,
        "replica events/s",
        f"{deliveries:,} waiting deliveries, Finance and Orders at once: claim, inbox, replica, done",
    )


def _latency(stack: Stack) -> Iterator[Figure]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.config.web_port, timeout=30)
    token = stack.token()
    began = time.monotonic()
    for n in range(PACED):
        time.sleep(max(0.0, began + n / RATE - time.monotonic()))
        _request(connection, token, "/api/contacts/accounts", {"name": f"Paced {n}"})
    with _connect(stack, "headwater") as database:
        for service in ("finance", "orders"):
            query = LATENCY.format(service=service).encode()
            found = eventually(
                lambda query=query: rows if len(rows := database.execute(query).fetchall()) == PACED else None,
                what=f"replicas of {service}",
            )
            seconds = [row[0] for row in found]
            how = f"{PACED} commands at {RATE:.0f}/s, commit to commit (pg_xact_commit_timestamp)"
            for share in (0.50, 0.95, 0.99):
                value = round(1000 * seconds[int(share * PACED)], 1)
                yield Figure(f"commit → {service} replica p{share * 100:.0f}", value, "ms", how=how)


def _between(measure: Callable[[], int], begun: Callable[[int], bool], ended: Callable[[int], bool]) -> float:
    """Seconds from the moment that ``begun`` holds to that when ``ended`` does."""
    eventually(lambda: begun(measure()), what="it began")
    start = time.monotonic()
    deadline = start + 300
    while not ended(measure()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done after 300 s: {measure()} deliveries wait")
        time.sleep(0.02)
    return time.monotonic() - start


def _landed(stack: Stack) -> bool:
    return all(
        row["lag_bytes"] < 100_000 for row in stack.status()["sources"] if str(row["slot"]).startswith("hw_landing")
    )


def _row(number: int) -> dict[str, Any]:
    address = {"line1": f"{number} Main Street", "city": "Springfield", "postal_code": "12345", "country": "US"}
    return {"data": {"name": f"Account {number}", "account_type": "Customer", "billing_address": address}}


def _connect(stack: Stack, database: str) -> psycopg.Connection[Any]:
    config = stack.config
    return psycopg.connect(config.url(config.oltp, database, "postgres"), autocommit=True)


def _post(stack: Stack, path: str, body: object) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.config.web_port, timeout=120)
    _request(connection, stack.token(), path, body)
    connection.close()


def _request(connection: http.client.HTTPConnection, token: str, path: str, body: object) -> None:
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status not in (200, 201):
        raise RuntimeError(f"POST {path}: {answer.status} {content[:300]!r}")

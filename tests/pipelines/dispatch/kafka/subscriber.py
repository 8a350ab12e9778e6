"""A subscribing service cut down to its inbox: claims, applies in a transaction of its own database, says done.

``inbox`` refuses an event that was applied; ``applied`` has them in the order of their application.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import psycopg

from pipelines.runtime import Stop

TABLES = (
    "create schema if not exists inbox",
    "create table inbox.inbox (consumer text, event_id uuid, primary key (consumer, event_id))",
    "create table inbox.applied (n bigint generated always as identity, consumer text, event_id uuid,"
    " aggregate_id uuid, version bigint, payload text)",
)


def main(given: dict[str, Any]) -> None:
    stop = Stop().on_signals()
    while not stop.is_set():
        try:
            with (
                psycopg.connect(given["stream"], autocommit=True) as stream,
                psycopg.connect(given["database"], autocommit=True) as own,
            ):
                work(given["consumer"], stream, own, stop)
        except psycopg.OperationalError:
            time.sleep(0.2)


def work(consumer: str, stream: psycopg.Connection[Any], own: psycopg.Connection[Any], stop: threading.Event) -> None:
    claim = "select event_id, aggregate_id, aggregate_version, payload::text from stream.claim(%s, 100, 5)"
    while not stop.is_set():
        claimed = stream.execute(claim, [consumer]).fetchall()
        if not claimed:
            # Not stop.wait: SIGTERM sets stop in this very thread, and hangs where the wait has its lock (seen).
            time.sleep(0.05)
            continue
        with own.transaction():
            for event_id, aggregate_id, version, payload in claimed:
                fresh = own.execute(
                    "insert into inbox.inbox values (%s, %s) on conflict do nothing", [consumer, event_id]
                )
                if fresh.rowcount:
                    own.execute(
                        "insert into inbox.applied (consumer, event_id, aggregate_id, version, payload)"
                        " values (%s, %s, %s, %s, %s)",
                        [consumer, event_id, aggregate_id, version, payload],
                    )
        stream.execute("select stream.done(%s, %s)", [consumer, [event_id for event_id, *_ in claimed]])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

"""How long a commit takes until its row is in the mirror, at a steady rate: whatever transport carries it."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import psycopg

from bench.landing_stage import Clusters, wait_for

RATE = 500
SECONDS = 20
WRITERS = 2
WARM_UP = 2.0
"""Seconds at the beginning that are left out."""


class Commits(NamedTuple):
    """``seconds`` that ``sent`` commits took to be sent; what the warm ones took to land, in milliseconds."""

    sent: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.sent / self.seconds


def time_commits(clusters: Clusters, *, patience: float) -> Commits:
    """Inserts into ``contacts.timed``, ``RATE`` a second for ``SECONDS``; each is timed from sending the COMMIT to the
    notification of the batch that holds its row. All must have landed ``patience`` seconds after the last."""
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    stop = threading.Event()
    observer = threading.Thread(target=_observe, args=[clusters.dsn, seen, stop])
    observer.start()
    began = time.monotonic()
    writers = [threading.Thread(target=_write, args=[clusters, sent, began, n]) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    took = time.monotonic() - began
    wait_for(lambda: len(seen) >= len(sent), seconds=patience)
    stop.set()
    observer.join()
    warm = sorted(1000 * (seen[key] - at) for key, at in sent.items() if at > began + WARM_UP)
    return Commits(len(sent), took, round(warm[len(warm) // 2], 1), round(warm[int(len(warm) * 0.99)], 1))


def _write(clusters: Clusters, sent: dict[str, float], began: float, number: int) -> None:
    with clusters.oltp.connect() as connection:
        for n in range(RATE * SECONDS // WRITERS):
            pause = began + (n * WRITERS + number) / RATE - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            key = f"{number}-{n}"
            sent[key] = time.monotonic()
            connection.execute("insert into contacts.timed (account_number, name) values (%s, 'Timed')", [key])


def _observe(dsn: str, seen: dict[str, float], stop: threading.Event) -> None:
    """Notes when each batch's notification came, and which rows the batch holds."""
    with psycopg.connect(dsn, autocommit=True) as listener, psycopg.connect(dsn, autocommit=True) as reader:
        listener.execute("listen hw_landed")
        while not stop.is_set():
            for notification in listener.notifies(timeout=0.2):
                at = time.monotonic()
                rows = reader.execute(
                    "select after ->> 'account_number' from log.change_log where batch_id = %s", [notification.payload]
                ).fetchall()
                for (key,) in rows:
                    seen.setdefault(key, at)

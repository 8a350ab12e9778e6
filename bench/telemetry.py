"""What metrics and traces cost a write: the same stack without them, scraped every second, and traced.

The peers are the same installation in the same run, so the ratio is of the code and not of the machine.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator

from bench.figure import Figure
from bench.runtime import WARM_UP, post_accounts
from tests.headwater.otlp import Receiver
from tests.stack import Stack

POSTS = 300
ROUNDS = 2
"""Each way is measured so often, in turn: load from outside then falls on both."""


def run() -> Iterator[Figure]:
    with Receiver() as receiver:
        sending = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        plain, traced = Stack(), Stack(None, sending)
        try:
            plain.up()
            traced.up()
            results: dict[str, list[tuple[float, float]]] = {}
            for _ in range(ROUNDS):
                for name, stack in (("off", plain), ("scraped", plain), ("traced", traced)):
                    with _scraping(stack, name == "scraped"):
                        taken, spent = post_accounts(stack, POSTS)
                        p95 = taken[int(POSTS * 0.95)]
                        results.setdefault(name, []).append((p95, sum(spent.values()) / POSTS))
        finally:
            plain.close()
            traced.close()
    best = {name: (min(p95 for p95, _ in runs), min(spent for _, spent in runs)) for name, runs in results.items()}
    how = f"{POSTS} accounts one after the other, best of {ROUNDS} rounds"
    for name, (p95, spent) in best.items():
        yield Figure(f"POST account p95, {name}", round(1000 * p95, 1), "ms", how=how)
        yield Figure(f"POST account CPU of everything, {name}", round(1000 * spent, 1), "ms", how=how)
    for name in ("scraped", "traced"):
        ratio = round(best[name][0] / best["off"][0], 2)
        yield Figure(
            f"p95, {name} / off", ratio, "×", how="scraped once a second" if name == "scraped" else "all sampled"
        )
    yield Figure("spans a POST", round(len(receiver.spans) / (ROUNDS * (POSTS + WARM_UP)), 1), how="of every process")


class _scraping:
    """Scrapes the stack's metrics once a second while the block lasts, if ``wanted``."""

    def __init__(self, stack: Stack, wanted: bool) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scrape, args=[stack], daemon=True) if wanted else None

    def __enter__(self) -> None:
        if self._thread is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _scrape(self, stack: Stack) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", stack.config.web_port, timeout=30)
        connection.request("GET", "/metrics")  # the first question makes the token
        connection.getresponse().read()
        secret = (stack.home.root / "metrics.token").read_text().strip()
        while not self._stop.wait(1.0):
            connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {secret}"})
            connection.getresponse().read()

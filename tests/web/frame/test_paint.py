"""What is painted first is the whole page: its half would move when the rest comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.stack import eventually
from tests.web.records.company import Company
from tests.web.records.visitor import Visitor

PAUSE = 2.0


class Halves(BaseHTTPRequestHandler):
    """Gives what the application answers; a page's second half after a pause."""

    url: str

    def do_GET(self) -> None:
        headers = {name: self.headers[name] for name in ("Cookie", "Accept") if name in self.headers}
        answer = httpx.get(self.url + self.path, headers=headers, timeout=60, trust_env=False)
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Content-Security-Policy"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        body, half = answer.content, answer.content.find(b'<form class="finder"') + 1
        self.wfile.write(body[:half])
        if half:
            self.wfile.flush()
            time.sleep(PAUSE)
        self.wfile.write(body[half:])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def slow(company: Company) -> Iterator[str]:
    """The address of a connection over which pages come in halves."""
    handler = type("OfThisStack", (Halves,), {"url": company.stack.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_that_comes_in_halves_is_painted_whole(alice: Visitor, company: Company, slow: str) -> None:
    alice.page.goto(f"{slow}/accounts/{company.ids['acme']}")
    painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    eventually(lambda: alice.page.evaluate(painted) or alice.page.wait_for_timeout(50), what="something is painted")
    assert alice.page.evaluate(painted) >= PAUSE * 1000
    alice.settled()
    alice.steady()
    alice.well()

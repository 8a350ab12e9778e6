"""A wire between two services: it notes what passes, and loses answers when told to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


@dataclass
class Relay:
    """Listens on ``url`` and hands every request on to ``target``. ``lose``: so many answers are thrown away, and the
    connection is cut, after the service has done its work."""

    target: str
    lose: int = 0
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> Relay:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                relay.seen.append((self.command, self.path, dict(self.headers)))
                answer = httpx.request(
                    self.command, relay.target + self.path, headers=dict(self.headers), content=body, timeout=30
                )
                if relay.lose:
                    relay.lose -= 1
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                for name in ("Content-Type", "ETag", "Headwater-Position", "Idempotent-Replayed", "Retry-After"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = _pass

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: requests of tests are no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

"""``python -m tests.transactional.served_process``: services on a port, as a process that a test may stop and kill.

Takes the clusters' port, the database, the passwords, the key file and the port to listen on as JSON on standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections

import tests.bootstrap  # noqa: F401


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: requests of tests are no news."""


def main() -> None:
    given = json.load(sys.stdin)
    for service in settings.HEADWATER_SERVICES:
        connections.settings[service] |= {
            "HOST": "127.0.0.1",
            "PORT": given["database_port"],
            "NAME": given["database"],
            "PASSWORD": given["passwords"][f"hw_{service}"],
        }
    settings.HEADWATER_JWKS = Path(given["jwks"])
    application = get_wsgi_application()

    def serve(environ, start_response):  # type: ignore[no-untyped-def]
        try:
            return application(environ, start_response)
        finally:
            connections.close_all()

    make_server("127.0.0.1", given["port"], serve, Threaded, Quiet).serve_forever()


main()

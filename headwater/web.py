"""The web process: granian in front of Django's WSGI application."""

from __future__ import annotations

import os

from headwater import ports, proc

THREADS = 4
"""Commands wait for PostgreSQL's commit, so a few threads share one interpreter well; each keeps a server process per
service. Measured with eight clients on two busy cores: 30 commands a second with one thread, 40 with two, 58 with four.
"""


class PortTaken(Exception):
    """Another program listens where the web process should."""


def serve(port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight are finished first. Raises PortTaken.

    Granian would join another server of its kind on the same port, and share its requests.
    """
    claims = ports.Claims()
    supervised = proc.MARK in os.environ  # then the supervisor holds the claim
    if not (ports.is_free(port) if supervised else claims.claim(port)):
        raise PortTaken(f"port {port} is taken by another program; choose one with --port.")
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "headwater.wsgi:application",
        address=os.environ.get("HEADWATER_BIND", "127.0.0.1"),
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        backlog=1024,
        log_level=LogLevels.warning,
        workers_kill_timeout=10,
    ).serve()

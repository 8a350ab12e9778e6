"""The web process: granian in front of Django's WSGI application."""

from __future__ import annotations

THREADS = 4
"""Commands wait for PostgreSQL's commit, so a few threads share one interpreter well; each keeps a server process per
service. Measured with eight clients on two busy cores: 30 commands a second with one thread, 40 with two, 58 with four.
"""


def serve(port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight are finished first."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "headwater.wsgi:application",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        backlog=1024,
        log_level=LogLevels.warning,
        workers_kill_timeout=10,
    ).serve()

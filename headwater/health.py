"""Whether one process is well, asked beside it: what a container's health check runs."""

from __future__ import annotations

import http.client
import time

from headwater import config
from headwater.state import Home, read_json
from headwater.status import SILENT

WEB_TIMEOUT = 5.0


def illness(home: Home, process: str) -> str | None:
    """What is wrong with ``web``, ``gateway``, a service's process or a worker; None if it is well.

    Who serves must answer, whatever the answer: databases that are away are no reason to start it anew. A worker must
    have beaten within the last minute.
    """
    settings = config.read(home.root)
    if process == "web" or (process in config.SERVICES and not settings.service_ports):
        return _silence(process, settings.web_port)
    if process in config.SERVICES:
        return _silence(process, settings.service_ports[process])
    if process == "gateway":
        from headwater.gateway.asking import silence

        why = silence(settings, WEB_TIMEOUT)
        return why and f"{process} gives no answer: {why}."
    path = home.heartbeat(process)
    if not read_json(path):
        return f"{process} has not begun: {path} is absent."
    age = time.time() - path.stat().st_mtime
    return f"{process} gave no sign of life for {age:.0f} s." if age > SILENT else None


def _silence(process: str, port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WEB_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        return f"{process} gives no answer: {error}."
    finally:
        connection.close()
    return None

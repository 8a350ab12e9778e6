"""Asks a PostgreSQL server whether it takes connections, without a driver and without logging in."""

from __future__ import annotations

import socket
import struct

_PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
# StartupMessage of protocol 3.0: its length, the version, parameters (PostgreSQL documentation, "Message Formats").
_STARTUP = struct.pack("!ii", 8 + len(_PARAMETERS), 196608) + _PARAMETERS
_CANNOT_CONNECT_NOW = b"C57P03\0"


def accepts(port: int, host: str = "127.0.0.1", timeout: float = 2.0) -> bool:
    """Whether the server asks for a password (or refuses for a reason other than starting up or shutting down)."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(_STARTUP)
            answer = connection.recv(4096)
    except OSError:
        return False
    if answer[:1] == b"E":
        return _CANNOT_CONNECT_NOW not in answer
    return answer[:1] == b"R"

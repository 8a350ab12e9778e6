"""How each resident worker is put together from this installation's configuration: ``headwater work <name>``."""

from __future__ import annotations

from collections.abc import Callable

WORKERS: dict[str, Callable[[], None]] = {}


def run(name: str) -> None:
    """Runs the worker until SIGTERM or SIGINT."""
    WORKERS[name]()

"""Keeps the logs of running processes small without their help."""

from __future__ import annotations

import shutil
from pathlib import Path

LIMIT = 10 * 1024 * 1024
"""Bytes after which a log is set aside; a stack's logs take at most (KEPT + 1) times this for each process."""

KEPT = 2


def rotate(log: Path, limit: int = LIMIT) -> bool:
    """Copies a log that grew past ``limit`` to ``<log>.1`` (older ones move up) and empties it.

    Processes hold the file open in append mode, so it is emptied and not renamed; a line written in the moment
    between copy and truncation is lost.
    """
    try:
        if log.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    for n in range(KEPT, 1, -1):
        older = log.with_name(f"{log.name}.{n - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{n}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate(0)
    return True

"""Fail-points of the write side: places where a test may have this process killed, to prove that nothing is lost there.

The same few lines stand in ``cdc.failpoints``: the stream and the write side do not import each other.
"""

from __future__ import annotations

import os
import signal

_armed = os.environ.get("HEADWATER_FAILPOINT", "")
_directory = _armed.removeprefix("@") if _armed.startswith("@") else None
_name, _, _nth = _armed.partition(":")
_remaining = int(_nth or 1)


def reach(name: str) -> None:
    """Kill this process with SIGKILL if ``HEADWATER_FAILPOINT`` is ``name`` (or ``name:N``, at the Nth passage).

    With ``@DIRECTORY`` a point is armed while processes run: by a file of its name, which the first to pass takes away.
    """
    global _remaining
    if _directory is not None:
        try:
            os.unlink(f"{_directory}/{name}")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
    if name != _name:
        return
    _remaining -= 1
    if _remaining <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

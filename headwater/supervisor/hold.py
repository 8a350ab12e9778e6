"""Holding a worker still while a command does what the worker must not see half done (a repair).

The command takes a lock that names the worker; the supervisor stops the worker while somebody holds it, and starts it
again when the lock is gone, even if the command was killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.state import Home, read_json
from headwater.supervisor.kinds import kind
from headwater.supervisor.lock import Lock

TIMEOUT = 60.0
"""Seconds for a worker to stop when asked."""


class NotHeld(Exception):
    """The worker could not be held; the message says why."""


def lock_of(home: Home, worker: str) -> Lock:
    return Lock(home.run, f"hold-{worker}")


@contextmanager
def held(home: Home, *workers: str) -> Iterator[None]:
    """The workers stand still inside the block, all of a kind where several share its work (``landing``).

    Does nothing but lock where no supervisor runs.
    """
    locks = [lock_of(home, worker) for worker in workers]
    taken: list[Lock] = []
    try:
        for worker, lock in zip(workers, locks, strict=True):
            if not lock.acquire():
                raise NotHeld(f"process {lock.holder()} already holds {worker}; wait until it is done.")
            taken.append(lock)
        wake(home)
        deadline = time.monotonic() + TIMEOUT
        while Lock(home.run).holder() is not None:
            processes = read_json(home.supervisor).get("processes", {})
            running = [
                name
                for name, process in processes.items()
                if {name, kind(name)}.intersection(workers) and process.get("state") not in ("held", None)
            ]
            if not running:
                break
            if time.monotonic() > deadline:
                raise NotHeld(f"{', '.join(running)} did not stop in {TIMEOUT:.0f} s; see {home.log('supervisor')}.")
            time.sleep(0.05)
        yield
    finally:
        for lock in taken:
            lock.release()
        wake(home)


def wake(home: Home) -> None:
    """Has the supervisor look now at what it looks at from time to time."""
    holder = Lock(home.run).holder()
    if holder is not None:
        os.kill(holder, signal.SIGUSR1)

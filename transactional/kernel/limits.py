"""How long a call to a service in another process may take, and when such a service is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, but for ``failures``.

    ``connect``: until the connection stands. ``read``: silence that a read puts up with before it is tried again; a
    command is waited for until the deadline, since a row that somebody else holds is waited for up to 15 s
    (``lock_timeout``). ``deadline``: the whole call, with every attempt and pause. ``failures`` in a row open the
    service's circuit breaker, and ``rest`` is how long it lets nothing through.
    """

    connect: float = 1.0
    read: float = 5.0
    deadline: float = 20.0
    failures: int = 5
    rest: float = 5.0

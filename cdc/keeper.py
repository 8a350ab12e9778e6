"""Restarts what failed of connectors: soon, then ever later, then not any more until somebody looks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from cdc.connect import Connect
from cdc.errors import ConnectorMissing

BACK_OFF: Final = (1.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds before the first, second … restart in a row. After the last one a person must mend the cause."""

STEADY: Final = 60.0
"""Seconds of running after which a failure counts as the first in a row again."""

log = logging.getLogger(__name__)


@dataclass
class _Record:
    restarts: int = 0
    due: float = 0.0
    failing: bool = False
    running_since: float | None = None


class Keeper:
    """Looks after connectors by name. ``tick`` is to be called every second or so.

    Debezium itself tries again while its database is away; a task that says FAILED does nothing until it is restarted.
    One that failed while its database ``answers`` nobody (it is asked with the connector's name) waits for that,
    however long, and its restarts are counted from there.
    """

    def __init__(
        self,
        connect: Connect,
        names: Iterable[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        answers: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._connect = connect
        self._records = {name: _Record() for name in names}
        self._clock = clock
        self._answers = answers

    def tick(self) -> dict[str, str]:
        """Restarts what is due, and returns connector → what is wrong with it; empty if all run.

        Raises ConnectUnavailable if no worker answers.
        """
        wrong = {}
        for name, record in self._records.items():
            try:
                status = self._connect.status(name)
            except ConnectorMissing as error:
                wrong[name] = str(error)
                continue
            now = self._clock()
            if not status.failed:
                if not status.running:
                    record.running_since = None
                elif record.running_since is None:
                    record.running_since = now
                elif now - record.running_since >= STEADY:
                    record.restarts = 0
                record.failing = False
                continue
            record.running_since = None
            why = "; ".join(status.causes) or "without a reason"
            if not self._answers(name):
                record.restarts, record.failing = 0, False
                wrong[name] = f"failed, and is restarted once its database answers: {why}"
                continue
            if not record.failing:
                record.failing = True
                record.due = now + BACK_OFF[min(record.restarts, len(BACK_OFF) - 1)]
                log.warning("connector %s failed: %s", name, why)
            if record.restarts == len(BACK_OFF):
                wrong[name] = f"failed, and {record.restarts} restarts did not help: {why}"
            elif now < record.due:
                wrong[name] = f"failed, and is restarted in {record.due - now:.0f} s: {why}"
            else:
                record.restarts += 1
                record.failing = False
                self._connect.restart(name, only_failed=True)
                log.warning("connector %s restarted (%d of %d)", name, record.restarts, len(BACK_OFF))
                wrong[name] = f"failed, and was restarted: {why}"
        return wrong

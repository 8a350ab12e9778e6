"""A resident worker tells Dagster what it has done, so that the lineage is alive although no run did it.

At most once a minute, from a thread of its own, and only where something changed. Whatever goes wrong (Dagster is away,
slow, or broken; the warehouse does not answer) ends here: the worker neither waits nor fails for it.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import psycopg

from pipelines.observing import landed, queue_of, refreshed
from pipelines.runtime import Heartbeat

EVERY: Final = 60.0
TIMEOUT: Final = 5.0
"""Seconds for each answer; a report that is not taken is made again a minute later."""

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]
Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """One asset, by its key, as materialised now; ``partition`` where it is partitioned."""

    asset: tuple[str, ...]
    metadata: Metadata
    partition: str | None = None


class Look(Protocol):
    """What has changed since what was last ``taken``, by the warehouse and the worker's counters."""

    def __call__(self, warehouse: Connection, counters: Mapping[str, int], /) -> list[Report]: ...

    def taken(self) -> None:
        """Dagster has all that was given last."""


class NotTaken(Exception):
    """Dagster's answer to a report was not 200."""


Address = tuple[str, int]


def start(worker: str, address: Address, warehouse_dsn: str, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Begins to report for ``worker``, if it is one that does, to the Dagster at ``address``."""
    looks: dict[str, Look] = {
        "landing": LandingLook(),
        "refresh": RefreshLook(),
        "lake": CountedLook((("lake", "changes"),), "lake", by_day=True),
        "search": CountedLook(
            tuple(("search", entity) for entity in ("account", "contact", "product", "order")), "search"
        ),
    }
    if worker not in looks or not address[1]:
        return
    arguments = (looks[worker], address, warehouse_dsn, heartbeat, stop)
    threading.Thread(target=run, args=arguments, name="reports to Dagster", daemon=True).start()


def run(
    look: Look,
    address: Address,
    warehouse_dsn: str,
    heartbeat: Heartbeat,
    stop: threading.Event,
    *,
    every: float = EVERY,
) -> None:
    """Until ``stop``. What could not be reported is looked for again: ``look`` forgets nothing that was not taken."""
    well = True
    while not stop.wait(every):
        try:
            _report(look, address, warehouse_dsn, heartbeat)
            well = True
        except (OSError, NotTaken, psycopg.Error) as error:
            if well:
                log.info("Dagster was told nothing: %s", str(error).strip())
            well = False
        except Exception:  # a mistake of this module is no reason for a worker to suffer
            log.exception("Dagster was told nothing")


def _report(look: Look, address: Address, warehouse_dsn: str, heartbeat: Heartbeat) -> None:
    with socket.create_connection(address, timeout=TIMEOUT):
        pass  # nobody there: the warehouse need not be asked
    options = f"-c statement_timeout={TIMEOUT:.0f}s"
    with psycopg.connect(
        warehouse_dsn, autocommit=True, options=options, application_name="headwater reports", connect_timeout=5
    ) as warehouse:
        reports = look(warehouse, heartbeat.counted())
    for report in reports:
        post(report, address)
    look.taken()


def post(report: Report, address: Address) -> None:
    """Raises OSError, NotTaken. By hand, because urllib would take 6 MB in each of four workers."""
    content: dict[str, Any] = {"metadata": {**report.metadata, "by": "resident worker"}}
    if report.partition is not None:
        content["partition"] = report.partition
    body = json.dumps(content, default=str).encode()
    path = "/".join(("", "report_asset_materialization", *report.asset))
    head = f"POST {path} HTTP/1.0\r\nHost: {address[0]}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    deadline = time.monotonic() + TIMEOUT
    with socket.create_connection(address, timeout=TIMEOUT) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while b"\r\n" not in answer and len(answer) < 4096:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            part = connection.recv(4096)
            if not part:
                break
            answer += part
    status = answer.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or status[1] != b"200":
        raise NotTaken(f"{path} was answered {answer[:80]!r}")


class LandingLook:
    """The change log with each source's position, and the mirrors that batches have changed since."""

    def __init__(self) -> None:
        self._batch: int | None = None
        self._next: int | None = None

    def __call__(self, warehouse: Connection, _: Mapping[str, int]) -> list[Report]:
        row = warehouse.execute(
            "select coalesce(max(batch_id), 0), coalesce(max(batch_id) filter"
            " (where landed_at < now() - make_interval(secs => %s)), 0) from log.batch",
            [2 * EVERY],
        ).fetchone()
        self._next, lately = row or (0, 0)
        if self._batch is None:  # of what landed before this worker began, the last minutes
            self._batch = lately
        if self._next == self._batch:
            return []
        sources = landed(warehouse)
        reports = [Report(("log", "change_log"), {f"source {name}": state for name, state in sources.items()})]
        changed = warehouse.execute(
            "select schema_name, table_name, source, count(*) from log.change_log"
            " join log.mirror using (schema_name, table_name, source)"
            " where batch_id > %s and batch_id <= %s group by 1, 2, 3 order by 1, 2",
            [self._batch, self._next],
        )
        for schema, table, source, changes in changed.fetchall():
            metadata = {"changes since the last report": changes, **sources.get(source, {})}
            reports.append(Report((f"raw_{schema}", table), metadata))
        return reports

    def taken(self) -> None:
        self._batch = self._next


class RefreshLook:
    """The hot lane's state, and each mart that it has refreshed since."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}
        self._next: dict[str, Any] = {}

    def __call__(self, warehouse: Connection, counters: Mapping[str, int]) -> list[Report]:
        rows = warehouse.execute(
            "select s.model, n.nspname, max(s.refreshed_at) from ops.model_state s"
            " join pg_class c on c.relname = s.model join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname in ('marts', 'reporting') group by 1, 2"
        ).fetchall()
        self._next = {model: at for model, _, at in rows}
        states = refreshed(warehouse)
        changed = sorted((schema, model) for model, schema, at in rows if self._models.get(model) != at)
        reports = [Report((schema, model), states.get(model, {})) for schema, model in changed]
        return [Report(("ops", "model_state"), counters), *reports] if reports else []

    def taken(self) -> None:
        self._models = self._next


@dataclass(slots=True)
class CountedLook:
    """Assets of a worker that counts its own work; the queue tells how far it is behind."""

    assets: tuple[tuple[str, ...], ...]
    consumer: str
    by_day: bool = False
    _last: Mapping[str, int] = field(default_factory=dict)
    _next: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, warehouse: Connection, counters: Mapping[str, int]) -> list[Report]:
        self._next = counters
        if not counters or counters == self._last:
            return []
        waiting, oldest = queue_of(warehouse, self.consumer)
        metadata = {**counters, "batches waiting": waiting, "oldest, seconds": round(oldest, 1)}
        partition = time.strftime("%Y-%m-%d", time.gmtime()) if self.by_day else None
        return [Report(asset, metadata, partition) for asset in self.assets]

    def taken(self) -> None:
        self._last = self._next

"""Prometheus metrics of an installation, and the token that scrapers show.

Everything but the commands' durations is asked for at each scrape, as ``headwater status`` asks; nothing is collected
while nobody scrapes. Durations are this web process's own since it began; there is one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from cdc.positions import parse_lsn
from headwater import config
from headwater.config import Config
from headwater.state import Home
from headwater.status import TIMEOUT, collect
from transactional.kernel import observing, remote
from transactional.kernel.breaker import State

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

TOKEN = "metrics.token"
LANDING_STATES = ("snapshot", "streaming", "waiting", "stopped")

POSTGRES = """
select
    datname as database,
    pg_database_size(datid)::bigint as bytes,
    numbackends as connections,
    xact_commit as commits,
    xact_rollback as rollbacks,
    deadlocks,
    current_setting('max_connections')::int as limit
from pg_stat_database
where datname is not null and datname not in ('template0', 'template1')
"""


def token(home: Home) -> str:
    """What a scraper must show: ``HEADWATER_METRICS_TOKEN``, else the content of ``<home>/metrics.token`` (0600), which
    is made when it is first asked for."""
    if chosen := os.environ.get("HEADWATER_METRICS_TOKEN"):
        return chosen
    path = home.root / TOKEN
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    made = home.root / f".{TOKEN}.{os.getpid()}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(made, path)  # unlike a rename, leaves alone what another process made meanwhile
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return path.read_text().strip()


def registry(home: Home) -> CollectorRegistry:
    from prometheus_client.registry import CollectorRegistry

    found = CollectorRegistry()
    found.register(Installation(home))  # type: ignore[arg-type]
    return found


class Installation:
    """A collector: the state of the installation at the moment of the scrape."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        report = collect(self._home)
        yield from _installation(report)
        yield from _processes(report)
        yield from _stream(report)
        yield from _commands()
        yield from _calls()
        settings = config.read(self._home.root)
        yield from _postgres(settings)
        if settings.profile == "kafka":
            from headwater import kafka_metrics  # with confluent-kafka, for those who have Kafka

            yield from kafka_metrics.families(self._home, settings)


def gauge(name: str, help: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Any]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"headwater_{name}", help, labels=labels), rows)


def counter(name: str, help: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Any]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"headwater_{name}", help, labels=labels), rows)


def _filled(family: Any, rows: Iterable[tuple[tuple[str, ...], Any]]) -> Any:
    """What is not known is left out: a missing sample is the truth, a zero would not be."""
    for labels, value in rows:
        if value is not None:
            family.add_metric(labels, float(value))
    return family


def _installation(report: dict[str, Any]) -> Iterable[Metric]:
    yield gauge("info", "What runs here.", ("version",), [((version("headwater"),), 1)])
    yield gauge("running", "1 if the installation was started and runs.", (), [((), report["state"] == "running")])
    yield gauge("problems", "Databases, or Kafka, that gave no answer now.", (), [((), len(report["problems"]))])
    yield gauge(
        "parked",
        "Items set aside because they could not be applied; see `headwater parked list`.",
        ("kind",),
        [((kind,), count) for kind, count in report["parked"].items()],
    )


def _processes(report: dict[str, Any]) -> Iterable[Metric]:
    rows = report["processes"]

    def each(field: str) -> list[tuple[tuple[str, ...], Any]]:
        return [((row["name"],), row[field]) for row in rows]

    beats = [(row["name"], row["heartbeat"]) for row in rows if row["heartbeat"]]
    one = ("process",)
    yield gauge("process_up", "1 if the process runs.", one, [((r["name"],), r["state"] == "running") for r in rows])
    yield gauge("process_memory_bytes", "Proportional set size, descendants included.", one, each("memory_bytes"))
    yield counter("process_cpu_seconds", "User and system time of what runs now.", one, each("cpu_seconds"))
    yield counter("process_restarts", "Restarts since the supervisor began.", one, each("restarts"))
    yield gauge(
        "worker_failing", "1 if the worker reports an error.", one, [((n,), bool(b["error"])) for n, b in beats]
    )
    yield gauge(
        "worker_heartbeat_timestamp_seconds",
        "When the worker last said that it lives, Unix time.",
        one,
        [((name,), _unix(beat["beat_at"])) for name, beat in beats],
    )
    yield counter(
        "worker_work",
        "What the worker has done since it began, by kind (events, changes, batches, ...).",
        ("process", "kind"),
        [((name, kind), count) for name, beat in beats for kind, count in beat["counters"].items()],
    )


def _stream(report: dict[str, Any]) -> Iterable[Metric]:
    slots = [((row["source"], row["slot"]), row) for row in report["sources"]]
    two = ("source", "slot")
    yield gauge("slot_active", "1 if a reader is attached.", two, [(key, row["active"]) for key, row in slots])
    yield gauge("slot_lost", "1 if PostgreSQL removed WAL that the slot still needed.", two, [
        (key, row["wal_status"] == "lost") for key, row in slots
    ])  # fmt: skip
    yield gauge("slot_unconfirmed_bytes", "WAL that the reader has yet to confirm.", two, [
        (key, row["lag_bytes"]) for key, row in slots
    ])  # fmt: skip
    yield gauge("slot_retained_bytes", "WAL that PostgreSQL keeps for the slot.", two, [
        (key, row["retained_bytes"]) for key, row in slots
    ])  # fmt: skip
    landing = [row for row in report["sinks"] if row["sink"] == "landing"]
    yield gauge("landing_lag_seconds", "The mirror is at most this far behind its source.", ("source",), [
        ((row["source"],), row["lag_seconds"]) for row in landing
    ])  # fmt: skip
    yield gauge("landing_position_bytes", "Stored position in the source's WAL.", ("source",), [
        ((row["source"],), parse_lsn(row["lsn"]) if row["lsn"] else None) for row in landing
    ])  # fmt: skip
    yield gauge("landing_state", "1 at the state that landing of the source is in.", ("source", "state"), [
        ((row["source"], state), row["state"] == state) for row in landing for state in LANDING_STATES
    ])  # fmt: skip
    queues = [row for row in report["sinks"] if row["sink"] != "landing"]
    yield gauge("queue_batches", "Landed batches that the consumer has yet to take.", ("consumer",), [
        ((row["sink"],), row["pending"]) for row in queues
    ])  # fmt: skip
    yield gauge("queue_oldest_seconds", "Age of the oldest of them.", ("consumer",), [
        ((row["sink"],), row["oldest_seconds"]) for row in queues
    ])  # fmt: skip
    yield gauge("deliveries", "Events that wait for the service.", ("consumer", "state"), [
        ((row["consumer"], state), row[state])
        for row in report["deliveries"] for state in ("pending", "retrying", "parked", "behind")
    ])  # fmt: skip
    yield gauge("delivery_lag_seconds", "Age of the oldest event that could be applied now.", ("consumer",), [
        ((row["consumer"],), row["lag_seconds"]) for row in report["deliveries"]
    ])  # fmt: skip


def _commands() -> Iterable[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "headwater_command_duration_seconds",
        "Runs of commands by HTTP status, since this web process began.",
        labels=("command", "status"),
    )
    for (command, status), tally in sorted(observing.tallies().items()):
        buckets, below = [], 0
        for bound, count in zip((*map(str, observing.BOUNDS), "+Inf"), tally.buckets, strict=True):
            below += count
            buckets.append((bound, float(below)))
        family.add_metric((command, str(status)), buckets, tally.seconds)
    yield family


def _calls() -> Iterable[Metric]:
    yield gauge(
        "service_breaker",
        "1 at the state of the circuit breaker before a service elsewhere, as this web process sees it.",
        ("service", "state"),
        [((service, each), state is each) for service, state in sorted(remote.states().items()) for each in State],
    )
    yield counter(
        "service_calls",
        "Attempts to call a service elsewhere: answered, failed, or refused by the breaker without one.",
        ("service", "outcome"),
        sorted(remote.counts().items()),
    )


def _postgres(settings: Config) -> Iterable[Metric]:
    found: list[tuple[str, dict[str, Any]]] = []
    servers = {**settings.oltp_clusters(), "warehouse": settings.warehouse}
    for cluster, url in ((name, settings.url(server, "postgres", "postgres")) for name, server in servers.items()):
        try:
            with psycopg.connect(f"{url}?{TIMEOUT}", row_factory=dict_row) as connection:
                found += [(cluster, row) for row in connection.execute(POSTGRES)]
        except psycopg.Error:
            continue  # counted among the problems already
    two = ("cluster", "database")
    for kind, name, help in (
        (gauge, "bytes", "Size on disk."),
        (gauge, "connections", "Sessions open."),
        (counter, "commits", "Transactions committed."),
        (counter, "rollbacks", "Transactions rolled back."),
        (counter, "deadlocks", "Deadlocks that PostgreSQL broke."),
    ):
        rows = [((cluster, row["database"]), row[name]) for cluster, row in found]
        yield kind(f"postgres_{name}", help, two, rows)
    limits = {cluster: row["limit"] for cluster, row in found}
    yield gauge("postgres_connections_limit", "Sessions that the cluster allows.", ("cluster",), [
        ((cluster,), limit) for cluster, limit in limits.items()
    ])  # fmt: skip


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()

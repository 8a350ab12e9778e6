"""How each resident worker is put together from this installation's configuration: ``headwater work <name>``.

Imports stand inside the functions: each worker is a process of its own and pays for its own libraries alone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from headwater import telemetry
from headwater.config import SERVICES, Config, current, home
from headwater.state import Home
from pipelines.runtime import Heartbeat, Stop

PURGE_EVERY = 3600.0
"""Seconds between deletions of outbox and inbox rows past their retention."""

log = logging.getLogger(__name__)


def landing(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Lands every source in the warehouse."""
    if config.profile == "kafka":
        from headwater.landing import land_over_kafka

        land_over_kafka(config, heartbeat.name, heartbeat, stop)
        return
    from headwater.landing import databases
    from pipelines.landing.worker import run

    run(databases(config), config.warehouse_url(), heartbeat, stop)


def dispatch(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Makes deliveries of every source's events, and deletes events that nobody can need any more."""
    janitor = threading.Thread(target=_purge, args=[config, stop], name="retention", daemon=True)
    janitor.start()
    if config.profile == "kafka":
        from headwater.streaming import dispatch_over_kafka

        dispatch_over_kafka(config, heartbeat.name, heartbeat, stop)
        return
    from headwater.streaming import dispatch_readers
    from pipelines.dispatch.worker import run

    run(dispatch_readers(config), config.stream_url("hw_dispatch"), heartbeat, stop)


def jobs(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Applies the deliveries of every service that this installation hosts."""
    from headwater.provision.oltp import setup_django

    setup_django()
    from transactional.kernel.jobs import run

    run({service: config.stream_url(f"hw_{service}") for service in hosted()}, heartbeat, stop)


def refresh(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Keeps the hot marts up with what lands."""
    from pipelines.refresh.worker import run

    run(config.warehouse_url(), Home(home()).hot, heartbeat, stop)


def lake(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Moves what lands into the lake, and drops days of the change log that are safe there."""
    from headwater.lake import lake
    from pipelines.lake.worker import run

    run(lake(config), heartbeat, stop)


def search(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Keeps the search indexes up with what lands."""
    from headwater.searching import place
    from pipelines.search.worker import run

    run(config.warehouse_url(), place(config), heartbeat, stop)


def connectors(config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """Keeps Debezium's connectors as they are to be, and running."""
    from headwater.connectors import keep

    keep(Home(home()), config, heartbeat, stop)


WORKERS: dict[str, Callable[[Config, Heartbeat, Stop], None]] = {
    "landing": landing,
    "dispatch": dispatch,
    "jobs": jobs,
    "refresh": refresh,
    "search": search,
    "lake": lake,
}
"""Those of every profile."""

KAFKA_WORKERS: dict[str, Callable[[Config, Heartbeat, Stop], None]] = {"connectors": connectors}


def run(name: str) -> None:
    """Runs the worker until SIGTERM or SIGINT; its heartbeat stands in the home's ``run`` directory.

    Several of a kind have names of their own: ``landing-2``, ``jobs-finance`` (which works for that service alone).
    """
    kind, _, instance = name.partition("-")
    if kind == "jobs" and instance:
        os.environ["HEADWATER_SERVICES"] = instance
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = current()
    stop = Stop().on_signals()
    heartbeat = Heartbeat(Home(home()).heartbeat(name), name)
    telemetry.configure(name)
    elsewhere = os.environ.get("HEADWATER_DAGSTER_HOST")  # where Dagster has a machine, or a container, of its own
    if elsewhere or os.environ.get("HEADWATER_DAGSTER") != "off":
        from pipelines import reporting

        reporting.start(name, (elsewhere or "127.0.0.1", config.dagster_port), config.warehouse_url(), heartbeat, stop)
    (WORKERS | KAFKA_WORKERS)[kind](config, heartbeat, stop)


def hosted() -> tuple[str, ...]:
    """The services that ``HEADWATER_SERVICES`` names; all by default."""
    return tuple(name for name in os.environ.get("HEADWATER_SERVICES", ",".join(SERVICES)).split(",") if name)


def _purge(config: Config, stop: Stop) -> None:
    import psycopg

    from headwater.provision.stream import dispatch_sources
    from pipelines.dispatch.retention import Service, purge
    from pipelines.dispatch.store import connect

    services = [
        Service(service, source.name, config.service_url(service, role=f"hw_{service}_owner"))
        for source in dispatch_sources(config)
        for service in source.services
    ]
    while not stop.wait(PURGE_EVERY):
        try:
            with connect(config.stream_url("hw_dispatch")) as stream:
                for purged in purge(services, stream):
                    if purged.waiting_for:
                        log.warning("outbox of %s was not purged: waiting for %s", purged.service, purged.waiting_for)
                    elif purged.outbox or purged.inbox:
                        log.info("%s: %d events, %d inbox rows deleted", purged.service, purged.outbox, purged.inbox)
        except psycopg.OperationalError as error:
            log.warning("retention waits an hour: %s", str(error).strip())

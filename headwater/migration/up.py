"""From the slot to Kafka: Debezium reads on exactly where landing has stopped.

Kafka is brought up beside what runs. Then landing stands still for as long as it takes to move each slot to what is
stored and to write the configuration anew: that is the moment of the move. Before it, an interruption leaves the
installation embedded and landing at work; after it, workers and connectors of the Kafka profile start by themselves.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import psycopg

from cdc import topics
from cdc.connectors import PLUGIN, VERSION
from cdc.failpoints import reach
from cdc.positions import format_lsn
from headwater import ports
from headwater.config import Config
from headwater.connectors import Connectors
from headwater.kafka import profile
from headwater.kafka.distribution import distribution, java
from headwater.landing import databases
from headwater.migration import checks
from headwater.migration.processes import kafka_is_missing, marks_of, switch, unpassed, wait
from headwater.migration.state import Move, clear, record
from headwater.state import Home
from headwater.supervisor import layout
from headwater.supervisor.hold import held, wake
from pipelines.landing.kafka.handover import handed_over

STEPS = (
    "fetch Kafka and Debezium with Maven, unless they are here",
    "start a broker and two Connect workers beside what runs",
    "make topics, and have Connect judge the connectors",
    "stop landing and dispatch, move each slot to exactly what is stored, and make the installation one of Kafka",
    "start connectors, landing and dispatch over Kafka, and wait until what was committed meanwhile has landed",
)

FAILPOINTS = (
    "migrate.begun",
    "migrate.kafka_runs",
    "migrate.topics",
    "migrate.before_switch",
    "migrate.after_switch",
    "migrate.connectors",
)


def check(home: Home, settings: Config) -> Move | None:
    """The move that was begun before, if any. Raises what keeps one from beginning; changes nothing."""
    found = checks.resumed(home, settings, "kafka")
    java()
    if settings.profile != "kafka":
        checks.can_go_to_kafka(settings)
    return found


def run(home: Home, settings: Config) -> Iterator[str]:
    """Does it, or goes on with it, and says what was done. Raises Refused and what ``check`` raises."""
    move = check(home, settings)
    stood_still = None
    if settings.profile != "kafka":
        distribution().fetch()
        if move is None:
            move = _begin(home, settings)
        with_kafka = replace(settings, kafka_ports=move.kafka_ports)
        wake(home)
        wait(home, move, partial(kafka_is_missing, home, with_kafka))
        reach("migrate.kafka_runs")
        yield "Kafka and Connect run."
        wait(home, move, partial(_prepare, home, with_kafka))
        reach("migrate.topics")
        yield "Topics are made; Connect accepts the connectors."
        stood_still = time.monotonic()
        yield from _hand_over(home, settings, move)
        settings = with_kafka
    assert move is not None
    wait(home, move, partial(_apply, home, settings))
    reach("migrate.connectors")
    marks = marks_of(databases(settings))
    wait(home, move, partial(unpassed, settings, marks))
    clear(home)
    if stood_still is not None:
        yield f"What was committed meanwhile has landed, {time.monotonic() - stood_still:.1f} s after landing stopped."
    yield "This installation is of the Kafka profile."


def _begin(home: Home, settings: Config) -> Move:
    """Broker and workers on ports of their own, with storage that nobody wrote before."""
    claims, taken = ports.Claims(), dict(ports.of(settings))
    for name in profile.PORTS:
        taken[name] = ports.choose(home.root, name, claims, set(taken.values()))
    claims.release()
    shutil.rmtree(profile.place(home), ignore_errors=True)
    chosen = {name: taken[name] for name in profile.PORTS}
    layout.kafka(home, replace(settings, kafka_ports=chosen))
    move = Move("kafka", "begun", datetime.now(UTC).isoformat(timespec="seconds"), chosen)
    record(home, move, "begun")
    reach("migrate.begun")
    return move


def _prepare(home: Home, settings: Config) -> None:
    own = Connectors(home, settings)
    with closing(own.connect):
        own.connect.require_plugin(PLUGIN, VERSION)
        for wanted in own.wanted:
            own.connect.validate(wanted.definition)
            topics.ensure(wanted.source, own.bootstrap, wanted.definition.topics, own.security)


def _apply(home: Home, settings: Config) -> None:
    own = Connectors(home, settings)
    with closing(own.connect):
        own.apply()


def _hand_over(home: Home, settings: Config, move: Move) -> Iterator[str]:
    _checkpoint(settings)  # so that the one that landing waits for has little to write
    with held(home, "landing", "dispatch"), ExitStack() as positions:
        moved = [
            positions.enter_context(handed_over(database, settings.warehouse_url())) for database in databases(settings)
        ]
        # Until then a crash of the server would take the slots back to where they were.
        _checkpoint(settings)
        reach("migrate.before_switch")
        switch(home, move.kafka_ports)
        reach("migrate.after_switch")
    for position in moved:
        yield f"{position.source} goes to Debezium at {format_lsn(position.lsn)}."


def _checkpoint(settings: Config) -> None:
    for services in settings.source_databases().values():
        with psycopg.connect(settings.service_url(services[0], role="postgres"), autocommit=True) as database:
            database.execute("checkpoint")

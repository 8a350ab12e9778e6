"""From Kafka to the slot: landing reads on where Kafka's time has ended, which is the end of one transaction.

A copy of each slot is made while Debezium goes on; then all landing learns of the end, lands what lies before it and
leaves out what comes after it. Once everything before it is there, connectors are removed, the copies take their slots'
places, and the configuration is written anew: that is the moment of the move. Before it, whoever starts the
installation starts Kafka's processes; after it, landing reads slots.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from cdc import topics
from cdc.connectors import changes_topic, messages_topic
from cdc.errors import ConnectorMissing
from cdc.failpoints import reach
from cdc.positions import format_lsn
from cdc.slots import slot_state
from headwater.config import Config
from headwater.connectors import Connectors, Wanted
from headwater.kafka import profile
from headwater.landing import databases
from headwater.migration import checks
from headwater.migration.processes import kafka_still_runs, marks_of, switch, unpassed, wait
from headwater.migration.state import LEAVING, Move, clear, record
from headwater.provision.stream import dispatch_sources
from headwater.state import Home
from headwater.supervisor.hold import held, wake
from pipelines.dispatch.kafka import handover as dispatch
from pipelines.landing.kafka import handover as landing
from pipelines.landing.worker import SourceDatabase

STEPS = (
    "make a copy of each source's slot, while Debezium goes on",
    "end Kafka's time at a commit of each source; what comes after it is for the slot",
    "wait until everything before that has landed",
    "stop the connectors, wait until their events are dispatched, and stop landing and dispatch",
    "put the copies in the slots' places, and make the installation an embedded one",
    "start landing and dispatch from the slots; end Kafka's processes and delete what Kafka holds",
)

FAILPOINTS = (
    "migrate.copied",
    "migrate.ended",
    "migrate.drained",
    "migrate.leaving",
    "migrate.stopped",
    "handover.between_slots",
    "migrate.taken_back",
    "migrate.after_return",
    "migrate.cleared",
)


def check(home: Home, settings: Config) -> Move | None:
    """The move that was begun before, if any. Raises what keeps one from beginning; changes nothing."""
    found = checks.resumed(home, settings, "embedded")
    if found is None:
        checks.can_leave_kafka(home, settings)
    return found


def run(home: Home, settings: Config) -> Iterator[str]:
    """Does it, or goes on with it, and says what was done. Raises Refused and what ``check`` raises."""
    move = check(home, settings)
    if move is None:
        move = Move("embedded", "begun", datetime.now(UTC).isoformat(timespec="seconds"))
        record(home, move, "begun")
    ended = None
    if settings.profile == "kafka":
        ended = yield from _leave(home, settings, move)
    marks = marks_of(databases(settings))
    wait(home, move, partial(unpassed, settings, marks))
    if ended is not None:
        yield f"What was committed meanwhile has landed, {time.monotonic() - ended:.1f} s after the first end."
    _clear(home, settings, move)
    yield "This installation is of the embedded profile; what Kafka held is deleted."


def _leave(home: Home, settings: Config, move: Move) -> Generator[str, None, float]:
    """Returns when what is committed began to be left to the slot, as ``time.monotonic`` has it, or this call began."""
    began = time.monotonic()
    own, sources = Connectors(home, settings), databases(settings)
    with closing(own.connect):
        if move.step != LEAVING:
            for database in sources:
                landing.keep_a_copy(database, settings.warehouse_url())
            reach("migrate.copied")
            began = time.monotonic()
            yield from _end(home, settings, move, own, sources)
        record(home, move, LEAVING)
        reach("migrate.leaving")
        with held(home, "connectors"):
            _remove(home, settings, move, own)
            reach("migrate.stopped")
            wait(home, move, partial(_undispatched, settings, own))
            with held(home, "landing", "dispatch"):
                for database in sources:
                    until = landing.take_back(database, settings.warehouse_url())
                    yield f"{database.name} comes back to landing at {format_lsn(until)}."
                for source in dispatch_sources(settings):
                    dispatch.take_back(source.name, source.dsn, source.slot, settings.stream_url("hw_dispatch"))
                reach("migrate.taken_back")
                switch(home, {})
                reach("migrate.after_return")
    return began


def _end(home: Home, settings: Config, move: Move, own: Connectors, sources: list[SourceDatabase]) -> Iterator[str]:
    warehouse = settings.warehouse_url()
    ended = [(database, landing.end(database, warehouse)) for database in sources]
    reach("migrate.ended")
    for database, until in ended:
        wait(home, move, partial(landing.unlanded, database, warehouse, until, partial(_ends, own, database.name)))
        yield f"{database.name} has landed over Kafka up to {format_lsn(until)}, where that ends."
    reach("migrate.drained")


def _ends(own: Connectors, source: str) -> dict[tuple[str, int], int]:
    landed = (changes_topic(source), messages_topic(source))
    places = [
        (topic.name, number)
        for topic in own.changes[source].definition.topics
        if topic.name in landed
        for number in range(topic.partitions)
    ]
    return topics.ends(source, own.bootstrap, places)


def _remove(home: Home, settings: Config, move: Move, own: Connectors) -> None:
    """Every connector, once it has let go of its slot."""
    wait(home, move, partial(_each_present, own, own.connect.stop))
    dsns = {database.name: database.dsn for database in databases(settings)}
    for wanted in own.wanted:
        wait(home, move, partial(_still_runs, own, wanted, dsns[wanted.source]))
    wait(home, move, partial(_each_present, own, own.connect.delete))


def _each_present(own: Connectors, do: Callable[[str], None]) -> None:
    for wanted in own.wanted:
        if own.connect.config(wanted.definition.name) is not None:
            do(wanted.definition.name)


def _still_runs(own: Connectors, wanted: Wanted, dsn: str) -> str | None:
    try:
        status = own.connect.status(wanted.definition.name)
    except ConnectorMissing:
        return None
    state = slot_state(dsn, wanted.slot)
    left = status.state == "STOPPED" and not status.tasks and (state is None or state.active_pid is None)
    return None if left else f"connector {wanted.definition.name} has not stopped"


def _undispatched(settings: Config, own: Connectors) -> str | None:
    for source, wanted in own.outboxes.items():
        (partitions,) = {t.partitions for t in wanted.definition.topics if not t.name.startswith("__")}
        left = dispatch.undispatched(source, own.bootstrap, partitions, settings.stream_url("hw_dispatch"))
        if left:
            return f"{left:,} events of {source} are yet to be dispatched"
    return None


def _clear(home: Home, settings: Config, move: Move) -> None:
    for database in databases(settings):
        landing.finish_return(database, settings.warehouse_url())
    for source in dispatch_sources(settings):
        dispatch.finish_return(source.name, settings.stream_url("hw_dispatch"))
    reach("migrate.cleared")
    wake(home)
    wait(home, move, partial(kafka_still_runs, home))
    shutil.rmtree(profile.place(home), ignore_errors=True)
    clear(home)

"""What must be true before a move between profiles begins; otherwise it is refused, and nothing is changed."""

from __future__ import annotations

from contextlib import closing

import psycopg

from cdc import readiness
from cdc.errors import PublicationMismatch, SlotInUse, SlotMissing
from headwater import config
from headwater.cli.errors import Refused
from headwater.config import Config
from headwater.connectors import Connectors
from headwater.landing import databases
from headwater.migration.state import Move, pending
from headwater.provision.names import DISPATCH, KAFKA, LANDING
from headwater.splitting.state import half_done
from headwater.state import Home
from pipelines.landing.worker import SourceDatabase

OWN_READER = "headwater"
"""The name under which landing's walsender shows."""

Query = psycopg.Connection[tuple[object, ...]]


def resumed(home: Home, settings: Config, to: str) -> Move | None:
    """The move to this profile that was begun before; None if there is none. Raises Refused where none can be made."""
    found = pending(home)
    if found is not None:
        if found.to != to:
            raise Refused(f"{found} After that the way to the {to} profile is free.")
        return found
    if config.elsewhere() is not None or settings.kafka_brokers:
        raise Refused(
            "others run the clusters or Kafka here, and this command moves installations whose processes `headwater "
            "up` runs."
        )
    if settings.profile == to:
        raise Refused(f"this installation is of the {to} profile already.")
    if splits := half_done(home):
        services = ", ".join(split.service for split in splits)
        raise Refused(f"{services} is on its way to another database; finish `headwater split {services}` first.")
    return None


def sources_stream(settings: Config) -> None:
    """Raises Refused unless every source's changes are landing now."""
    with psycopg.connect(settings.warehouse_url(), autocommit=True) as warehouse:
        states = {
            source: (state, error)
            for source, state, error in warehouse.execute("select source, state, error from log.source_state")
        }
    for database in databases(settings):
        state, error = states.get(database.name, ("not begun", None))
        if state != "streaming":
            raise Refused(
                f"landing of {database.name} is {state}{f' ({error})' if error else ''}; a source moves while it "
                "streams. `headwater doctor` says what to do."
            )


def can_go_to_kafka(settings: Config) -> None:
    """Raises Refused, SlotMissing, SlotInUse or PublicationMismatch."""
    sources_stream(settings)
    for database in databases(settings):
        if database.mode() != "trigger":
            raise Refused(
                f"schema changes of {database.name} are found by polling, and over Kafka they must come with the "
                "stream: install the event trigger with `headwater prepare databases`, without "
                "HEADWATER_SCHEMA_CHANGES=polling."
            )
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            _is_read_by_landing(connection, database)
            _is_published(connection)


def can_leave_kafka(home: Home, settings: Config) -> None:
    """Raises Refused unless connectors run, to deliver what is before them, and each server has room for more slots."""
    sources_stream(settings)
    _nothing_is_parked(settings)
    own = Connectors(home, settings)
    with closing(own.connect):
        wrong = [f"{one.name}: {problem}" for one in own.seen() for problem in one.problems]
        stopped = [one.name for one in own.seen() if one.status is None or not one.status.running]
    if wrong or stopped:
        raise Refused(
            f"connectors must run, and these do not: {'; '.join(wrong or stopped)}. See `headwater connectors status`."
        )
    for cluster, wanted in _per_cluster(settings).items():
        with psycopg.connect(cluster, autocommit=True) as connection:
            row = connection.execute(
                "select current_setting('max_replication_slots')::int - count(*) from pg_replication_slots"
            ).fetchone()
        assert row is not None
        if int(str(row[0])) < wanted:
            raise Refused(
                f"the way back needs {wanted} replication slots more for a while, and the server has room for "
                f"{row[0]}: raise max_replication_slots."
            )


def _nothing_is_parked(settings: Config) -> None:
    """What could not be read of Kafka can only be read again while landing lands from it."""
    with psycopg.connect(settings.warehouse_url(), autocommit=True) as warehouse:
        rows = warehouse.execute("select source, count(*) from log.kafka_parked group by source").fetchall()
    for source, count in rows:
        raise Refused(
            f"{count} records of {source} could not be read and are parked: `headwater parked list`, then `headwater "
            "parked replay`. What nobody needs may be deleted from log.kafka_parked in the warehouse."
        )


def _per_cluster(settings: Config) -> dict[str, int]:
    """A login for each server → how many sources it holds."""
    found: dict[tuple[str | None, int | None], tuple[str, int]] = {}
    for database in databases(settings):
        parts = psycopg.conninfo.conninfo_to_dict(database.dsn)
        place = (str(parts.get("host")), int(str(parts.get("port") or 5432)))
        found[place] = (database.dsn, found.get(place, ("", 0))[1] + 1)
    return dict(found.values())


def _is_read_by_landing(connection: Query, database: SourceDatabase) -> None:
    row = connection.execute(
        "select s.active_pid, a.application_name from pg_replication_slots s"
        " left join pg_stat_activity a on a.pid = s.active_pid where s.slot_name = %s",
        [database.slot],
    ).fetchone()
    if row is None:
        raise SlotMissing(database.name, database.slot, stored=None)
    if row[0] is not None and row[1] not in (OWN_READER, readiness.DEBEZIUM):
        raise SlotInUse(database.slot, pid=int(str(row[0])), waited=0)


def _is_published(connection: Query) -> None:
    """Debezium's publication has whatever the two that landing reads have."""
    tables: dict[str, set[str]] = {KAFKA: set(), LANDING: set(), DISPATCH: set()}
    for name, table in connection.execute(
        "select pubname, schemaname || '.' || tablename from pg_publication_tables where pubname = any(%s)",
        [list(tables)],
    ):
        tables[str(name)].add(str(table))
    missing = (tables[LANDING] | tables[DISPATCH]) - tables[KAFKA]
    if missing:
        raise PublicationMismatch(KAFKA, missing=sorted(missing), extra=[], exists=bool(tables[KAFKA]))

"""The hand-over of one schema's mirrors to another source: its tables live in another database now.

Positions of two clusters do not compare, so nothing is inferred from them. The old source must have landed everything
that its database ever held of the schema; then one transaction gives the mirrors to the new source, whose stream begins
exactly where the copy of the tables ended. No row is read again and none is added to the change log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg

from cdc.catalogue import parse_description
from cdc.failpoints import reach
from cdc.positions import Position, format_lsn
from pipelines.landing.epochs import start_epoch
from pipelines.landing.lease import take_lease
from pipelines.landing.mirrors import Connection
from pipelines.landing.schema_changes import remember
from warehouse.mirror import qualified

REASON: Final = "split"
"""Of the new source's epoch."""


def is_handed_over(connection: Connection, position: Position) -> bool:
    """Whether the source at ``position`` has taken its mirrors over."""
    epoch = position.epoch
    row = connection.execute(
        "select 1 from log.epoch where (source, system_id, timeline, slot, reason) = (%s, %s, %s, %s, %s)",
        [position.source, epoch.system_id, epoch.timeline, epoch.slot, REASON],
    ).fetchone()
    return row is not None


def missing(connection: Connection, mark: Position) -> str | None:
    """What landing of the old source has yet to do before its mirrors can be handed over; None if nothing.

    ``mark`` stands behind the last change of the schema. A source that was repaired since has read the tables as they
    stand at the end, so that a later epoch of the same cluster will do as well.
    """
    row = connection.execute(
        "select system_id, lsn >= %s::pg_lsn, lsn::text from log.position where source = %s",
        [format_lsn(mark.lsn), mark.source],
    ).fetchone()
    if row is None or row[0] != mark.epoch.system_id:
        return f"source {mark.source} has landed nothing of this cluster"
    if not row[1]:
        return f"source {mark.source} has landed up to {row[2]}, not yet to {format_lsn(mark.lsn)}"
    reading = connection.execute(
        "select 1 from log.snapshot s join log.position p using (source, epoch)"
        " where s.source = %s and s.finished_at is null limit 1",
        [mark.source],
    ).fetchone()
    return f"source {mark.source} is reading tables whole" if reading is not None else None


def hand_over(
    warehouse_dsn: str, position: Position, mark: Position, schema: str, tables: Mapping[int, Mapping[str, Any]]
) -> bool:
    """Gives the mirrors of ``schema`` from ``mark.source`` to ``position.source``; False if that was done before.

    ``tables`` is what the new database's catalogue says of its published tables, by relation id. No process may land
    either source meanwhile: raises SourceTaken, or RuntimeError if something of the old source is not landed yet.
    """
    with psycopg.connect(warehouse_dsn, autocommit=True, options="-c synchronous_commit=on") as connection:
        if is_handed_over(connection, position):
            return False
        for source in (mark.source, position.source):
            take_lease(connection, source)
        with connection.transaction():
            if lacks := missing(connection, mark):
                raise RuntimeError(f"the mirrors of {schema} cannot be handed over: {lacks}")
            _give_mirrors(connection, mark.source, position.source, schema, tables)
            _give_rest(connection, mark.source, position.source, schema)
            remember(connection, position.source, tables)
            start_epoch(connection, position, REASON)
            reach("handover.before_commit")
    return True


def _give_mirrors(
    connection: Connection, old: str, new: str, schema: str, tables: Mapping[int, Mapping[str, Any]]
) -> None:
    """Relation ids and attribute numbers are another cluster's from here on."""
    connection.execute(
        "update log.mirror set source = %s, relid = 0 where source = %s and schema_name = %s", [new, old, schema]
    )
    connection.execute("update log.mirror_column set attnum = null where schema_name = %s", [schema])
    for relid, description in tables.items():
        definition = parse_description(relid, description)
        named = [definition.schema, definition.table]
        given = connection.execute(
            "update log.mirror set relid = %s where schema_name = %s and table_name = %s and dropped_at is null",
            [relid, *named],
        )
        if not given.rowcount:
            continue  # an outbox has no mirror
        for column in definition.columns:
            connection.execute(
                "update log.mirror_column set attnum = %s"
                " where schema_name = %s and table_name = %s and column_name = %s and dropped_at is null",
                [column.attnum, *named, column.name],
            )
        # The rows' positions are the old cluster's, and may be numbers beyond any of the new one's: a table that is
        # read again would leave such rows alone.
        connection.execute(
            f"update {qualified(*named)} set _lsn = '0/0', _seq = 0 where _lsn <> '0/0' or _seq <> 0".encode()
        )


def _give_rest(connection: Connection, old: str, new: str, schema: str) -> None:
    connection.execute(
        "delete from log.source_table where source = %s and description ->> 'schema' = %s", [old, schema]
    )
    connection.execute("update log.parked set source = %s where source = %s and schema_name = %s", [new, old, schema])
    # Models hold what they held: their state of the old source is their state of the new one until its first batch.
    connection.execute(
        "insert into ops.model_state (model, source, batch_id, committed_at, refreshed_at)"
        " select model, %s, batch_id, committed_at, refreshed_at from ops.model_state where source = %s"
        " on conflict (model, source) do nothing",
        [new, old],
    )

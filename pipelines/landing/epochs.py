"""Epochs of a source in the warehouse: one for each continuous WAL history that was landed."""

from __future__ import annotations

from cdc.positions import Position, format_lsn
from cdc.snapshot_progress import SnapshotProgress
from pipelines.landing.mirrors import Connection, Mirrors
from warehouse.mirror import qualified


def start_epoch(connection: Connection, position: Position, reason: str) -> int:
    """The number of a new epoch of ``position.source``, which becomes its stored position. Within a transaction."""
    source, lsn = position.source, format_lsn(position.lsn)
    identity = [position.epoch.system_id, position.epoch.timeline, position.epoch.slot]
    connection.execute("select from log.position where source = %s for update", [source])
    row = connection.execute(
        "insert into log.epoch (source, epoch, system_id, timeline, slot, reason)"
        " select %s, coalesce(max(epoch), 0) + 1, %s, %s, %s, %s from log.epoch where source = %s returning epoch",
        [source, *identity, reason, source],
    ).fetchone()
    assert row is not None
    connection.execute(
        "insert into log.position (source, epoch, system_id, timeline, slot, lsn) values (%s, %s, %s, %s, %s, %s)"
        " on conflict (source) do update set epoch = excluded.epoch, system_id = excluded.system_id,"
        " timeline = excluded.timeline, slot = excluded.slot, lsn = excluded.lsn, updated_at = now()",
        [source, row[0], *identity, lsn],
    )
    return int(row[0])


def set_aside(connection: Connection, mirrors: Mirrors, position: Position, snapshot: SnapshotProgress | None) -> None:
    """What a repair does away with before its epoch starts: parked changes, which its snapshot covers, relation ids of
    another cluster, which mean other tables now, and the rows of tables that are no longer published."""
    connection.execute("delete from log.parked where source = %s", [mirrors.source])
    stored = connection.execute("select system_id from log.position where source = %s", [mirrors.source]).fetchone()
    if stored is not None and stored[0] != position.epoch.system_id:
        connection.execute("update log.mirror set relid = 0 where source = %s", [mirrors.source])
        mirrors.load()
    published = {table.name for table in snapshot.tables} if snapshot is not None else set()
    relids = {table.relid for table in snapshot.tables} if snapshot is not None else set()
    for mirror in mirrors.all():
        if f"{mirror.schema}.{mirror.table}" not in published and mirror.relid not in relids and not mirror.dropped:
            connection.execute(
                f"update {qualified(mirror.schema, mirror.table)} set _deleted = true, _committed_at = now()"
                " where not _deleted".encode()
            )
            connection.execute(
                "update log.mirror set dropped_at = now() where schema_name = %s and table_name = %s",
                [mirror.schema, mirror.table],
            )
    mirrors.load()

"""Epochs of a source in the warehouse: one for each continuous WAL history that was landed."""

from __future__ import annotations

from cdc.positions import Position, format_lsn
from pipelines.landing.mirrors import Connection


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

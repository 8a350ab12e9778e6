"""Snapshot rows and progress in the warehouse: each chunk one transaction, resumed where it stopped.

A table that begins sets all its mirror's rows to version (0/0, -1), which snapshot rows, version (0/0, 0), go over;
what still stands at -1 when the table is done exists no longer and is flagged deleted. So an initial load, a table that
begins anew and a repair over old rows are one procedure, and readers never see an emptied table.

A re-read after a schema change runs beside the stream: its rows carry the schema change's position, with ``_seq``
REREAD, and give way to every row that the stream has written since.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from cdc.events import ChangeEvent, Column, Item, Relation, Transaction, Value
from cdc.positions import format_lsn, parse_lsn
from cdc.snapshot import SnapshotChunk
from cdc.snapshot_progress import SnapshotProgress
from pipelines.landing.mirrors import Connection, Mirror, Mirrors, landed_column
from pipelines.landing.schema_changes import follow_definition
from warehouse.mirror import REREAD, literal, qualified, quote

_SELECT: Final = (
    "select snapshot_id, purpose, relid, stamp_lsn::text, stamp_seq, progress, begun, finished_at is not null, sweeps,"
    " after_writers"
    " from log.snapshot where source = %s and epoch = %s"
)


@dataclass(slots=True)
class Snapshot:
    """One row of ``log.snapshot``. ``progress`` is None for a re-read that has not begun.

    ``begun``: relation id → the names under which the table's rows are in the change log (it may be renamed meanwhile).
    ``after_writers``: whoever was writing the table must have ended before it is read (``cdc.writers``).
    ``sweeps``: rows that the source no longer has are flagged when it ends (a re-read that a person asked for).
    """

    snapshot_id: int
    purpose: str
    relid: int
    stamp_lsn: int
    stamp_seq: int
    progress: SnapshotProgress | None
    begun: dict[str, list[str]]
    finished: bool
    sweeps: bool
    after_writers: bool

    @property
    def is_reread(self) -> bool:
        return self.purpose == "reread"


def add_snapshot(connection: Connection, source: str, epoch: int, purpose: str, progress: SnapshotProgress) -> None:
    connection.execute(
        "insert into log.snapshot (source, epoch, purpose, progress) values (%s, %s, %s, %s)",
        [source, epoch, purpose, progress.to_json()],
    )


def load_snapshots(connection: Connection, source: str, epoch: int) -> list[Snapshot]:
    """The epoch's whole snapshot, and the re-reads that are not finished, oldest first."""
    rows = connection.execute(
        f"{_SELECT} and (purpose <> 'reread' or finished_at is null) order by snapshot_id".encode(), [source, epoch]
    )
    return [_snapshot(row) for row in rows]


def load_rereads(connection: Connection, source: str, epoch: int) -> list[Snapshot]:
    rows = connection.execute(
        f"{_SELECT} and purpose = 'reread' and finished_at is null order by snapshot_id".encode(), [source, epoch]
    )
    return [_snapshot(row) for row in rows]


def prepare_table(
    connection: Connection, mirrors: Mirrors, epoch: int, snapshot: Snapshot, chunk: SnapshotChunk
) -> None:
    """Before a table's first rows: the mirror has its columns, what an earlier attempt left is out of the way."""
    table = chunk.table
    for name in snapshot.begun.pop(str(table.relid), []):
        schema, _, table_name = name.partition(".")
        connection.execute(
            "delete from log.change_log where source = %s and epoch = %s and op = 'r' and schema_name = %s"
            " and table_name = %s and lsn = %s",
            [mirrors.source, epoch, schema, table_name, format_lsn(snapshot.stamp_lsn)],
        )
    if snapshot.is_reread:
        _supersede_parked(connection, mirrors, snapshot)
        return
    mirror = follow_definition(connection, mirrors, table)
    if mirror is not None:
        connection.execute(
            f"update {qualified(mirror.schema, mirror.table)} set _lsn = '0/0', _seq = -1"
            " where _lsn <> '0/0' or _seq <> -1".encode()
        )


def _supersede_parked(connection: Connection, mirrors: Mirrors, snapshot: Snapshot) -> None:
    """Changes from before the stamp that the mirror refused are no longer needed: the rows are read as they are now.

    Of a row that is gone by now only its deletion is left to do.
    """
    mirror = mirrors.by_relid(snapshot.relid)
    if mirror is None:
        return
    of_table = [mirrors.source, mirror.schema, mirror.table]
    stamp = format_lsn(snapshot.stamp_lsn)
    connection.execute(
        f"update {qualified(mirror.schema, mirror.table)} m"
        " set _deleted = true, _lsn = last.lsn, _seq = last.seq, _committed_at = last.committed_at"
        " from (select distinct on (key) key, op, lsn, seq, committed_at from log.parked"
        "  where source = %s and schema_name = %s and table_name = %s order by key, parked_id desc) last"
        f" where last.key = {_key_object(mirror)} and last.op = 'd' and last.lsn < %s and not m._deleted".encode(),
        [*of_table, stamp],
    )
    connection.execute(
        "delete from log.parked where source = %s and schema_name = %s and table_name = %s and lsn < %s",
        [*of_table, stamp],
    )


def _key_object(mirror: Mirror) -> str:
    """The key of the mirror's row ``m`` as ``log.parked`` has it."""
    return f"jsonb_build_object({', '.join(f'{literal(name)}, m.{quote(name)}::text' for name in mirror.key)})"


def completes_table(chunk: SnapshotChunk) -> bool:
    """Whether this is the last chunk of its table, and the table still exists."""
    return bool(chunk.table.columns) and any(t.done for t in chunk.progress.tables if t.relid == chunk.table.relid)


def sweep(
    connection: Connection, mirrors: Mirrors, snapshot: Snapshot, chunk: SnapshotChunk, committed_at: str
) -> None:
    """Flags the mirror's rows that are older than the stamp: the re-read, which stamps what it finds, found them not.

    Leaves out rows that the mirror refused, and everything if the table changed its shape since the request, or its key
    is ahead of the stream: rows may then have been left out of the re-read.
    """
    mirror = mirrors.by_relid(snapshot.relid)
    changed = connection.execute(
        "select from log.schema_change where source = %s and relid = %s and lsn > %s limit 1",
        [mirrors.source, snapshot.relid, format_lsn(snapshot.stamp_lsn)],
    ).fetchone()
    if mirror is None or changed is not None or not _has_key(chunk, mirror):
        return
    stamp = [format_lsn(snapshot.stamp_lsn), REREAD]
    connection.execute(
        f"update {qualified(mirror.schema, mirror.table)} m"
        " set _deleted = true, _lsn = %s, _seq = %s, _committed_at = %s"
        f" where not _deleted and (_lsn, _seq) < (%s, %s) and not {_is_parked(mirror)}".encode(),
        [*stamp, committed_at, *stamp, mirror.schema, mirror.table],
    )


def _has_key(chunk: SnapshotChunk, mirror: Mirror) -> bool:
    """Whether the table as it was read has the mirror's key, so that each of its rows found its place."""
    present = {column.attnum: landed_column(column) for column in chunk.table.columns}
    for landed in (mirror.columns[name] for name in mirror.key):
        found = present.get(landed.attnum or 0)
        if found is None or (found.type_name, found.shape) != (landed.type_name, landed.shape):
            return False
    return True


def _is_parked(mirror: Mirror) -> str:
    """A condition on the mirror's row ``m``; its two parameters are the table's schema and name."""
    return (
        "exists (select from log.parked p where p.schema_name = %s and p.table_name = %s"
        f" and p.key = {_key_object(mirror)})"
    )


def finish_table(connection: Connection, mirror: Mirror, committed_at: str) -> None:
    """Flags the rows that the snapshot did not find, except those it found and the mirror refused."""
    connection.execute(
        f"update {qualified(mirror.schema, mirror.table)} m"
        " set _deleted = true, _seq = 0, _committed_at = case when _deleted then _committed_at else %s end"
        f" where m._lsn = '0/0' and m._seq = -1 and not {_is_parked(mirror)}".encode(),
        [committed_at, mirror.schema, mirror.table],
    )


def transaction_of(snapshot: Snapshot, chunk: SnapshotChunk, mirrors: Mirrors) -> Transaction:
    """The chunk as one transaction, read at this moment, of events at the snapshot's version."""
    events: Sequence[Item] = chunk.events() if chunk.table.columns else []
    if snapshot.is_reread:
        events = _stamped(snapshot, chunk, mirrors.by_relid(chunk.table.relid))
    return Transaction(chunk.progress.source, 0, 0, 0, time.time_ns() // 1000, events)


def store_progress(connection: Connection, snapshot: Snapshot, chunk: SnapshotChunk, rows: int) -> None:
    progress = chunk.progress
    names = snapshot.begun.setdefault(str(chunk.table.relid), [])
    if chunk.table.qualified_name not in names:
        names.append(chunk.table.qualified_name)
    connection.execute(
        "update log.snapshot set progress = %s, begun = %s, rows = rows + %s,"
        " finished_at = case when %s then clock_timestamp() end, finished_lsn = %s where snapshot_id = %s",
        [
            progress.to_json(),
            orjson.dumps(snapshot.begun).decode(),
            rows,
            progress.done,
            format_lsn(progress.finished_lsn) if progress.done else None,
            snapshot.snapshot_id,
        ],
    )
    snapshot.progress = progress
    snapshot.finished = progress.done


def _stamped(snapshot: Snapshot, chunk: SnapshotChunk, mirror: Mirror | None) -> list[Item]:
    """Re-read rows under the mirror's column names, without columns that a later schema change has altered again.

    The source is read as it is now, which may be several schema changes ahead of the stream. A column is the same as
    long as its attribute number and type are; one that was retyped since is left to its own re-read.
    """
    if mirror is None:
        return []
    by_number = {column.attnum: column for column in mirror.columns.values()}
    places: list[int] = []
    columns: list[Column] = []
    for place, definition in enumerate(chunk.table.columns):
        landed, present = by_number.get(definition.attnum), landed_column(definition)
        if landed is not None and (landed.type_name, landed.shape) == (present.type_name, present.shape):
            places.append(place)
            source_column = chunk.relation.columns[place]
            columns.append(
                Column(landed.name, source_column.type_oid, source_column.type_modifier, landed.name in mirror.key)
            )
    relation = Relation(mirror.relid, mirror.schema, mirror.table, chunk.relation.replica_identity, tuple(columns))
    if len(relation.key_indexes) != len(mirror.key):
        return []
    source, lsn = chunk.progress.source, snapshot.stamp_lsn
    events: list[Item] = []
    for row in chunk.rows:
        values: list[Value] = [row[place] for place in places]
        key: Any = tuple([values[i] for i in relation.key_indexes])
        events.append(ChangeEvent(source, 0, lsn, REREAD, "r", relation, key, None, values))
    return events


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    snapshot_id, purpose, relid, stamp_lsn, stamp_seq, progress, begun, finished, sweeps, after_writers = row
    parsed = None if progress is None else SnapshotProgress.from_json(orjson.dumps(progress).decode())
    return Snapshot(
        snapshot_id, purpose, relid, parse_lsn(stamp_lsn), stamp_seq, parsed, begun, finished, sweeps, after_writers
    )

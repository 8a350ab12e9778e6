"""Rebuilds the mirror of a source from the lake alone: the last version of every row, written as landing writes it.

One transaction a source, in which landing of the source waits (it needs the row of ``log.position``): readers see the
old mirror until the new one stands, a process that is killed leaves the old one, and what is written at the source
meanwhile lands afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import psycopg

from cdc.events import Column, Relation
from cdc.failpoints import reach
from pipelines.lake.loader import drain
from pipelines.landing.compaction import Version
from pipelines.landing.mirrors import Connection, Mirror, Mirrors, Plan
from warehouse.lake.lineage import Table, condition, tables, text
from warehouse.lake.place import Lake, literal, value
from warehouse.mirror import REREAD, MirrorColumn, create_sql, qualified

FAILPOINTS: Final = ("rebuild.cleared", "rebuild.before_commit", "rebuild.after_commit")

_CHUNK: Final = 5_000

# Orders the changes of one row: epochs by when they began, whatever source they are of; what was read beside the stream
# before what stands after its position in the log; the stream by commits: batches in their order, and in it a batch's
# transactions. Those that landed before transactions were numbered, by their time.
_PLACE: Final = (
    "struct_pack(a := epoch_rank, b := coalesce(max(lsn) filter (where op = 'r') over"
    " (partition by {keys}, epoch_rank order by lsn), 0), c := op <> 'r', d := batch_id, e := commit_no,"
    " f := committed_at, g := lsn, h := seq)"
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One mirror: how many rows it has now, deleted ones included."""

    table: str
    rows: int


def rebuild_mirrors(lake: Lake) -> Iterator[Rebuilt]:
    """Rebuilds every source's mirrors, source by source. Raises LakeError, psycopg.Error; then that source's stay."""
    drain(lake)  # most of the work, while landing goes on
    with psycopg.connect(lake.log, autocommit=True, application_name="headwater rebuild") as connection:
        sources = [str(source) for (source,) in connection.execute("select source from log.position order by 1")]
        for source in sources:
            with connection.transaction():
                connection.execute("select from log.position where source = %s for update", [source])
                drain(lake)
                yield from _rebuild_source(connection, lake, source)
                connection.execute("insert into ops.mirror_rebuilt (source) values (%s)", [source])
                reach("rebuild.before_commit")
            reach("rebuild.after_commit")


def _rebuild_source(connection: Connection, lake: Lake, source: str) -> list[Rebuilt]:
    mirrors = Mirrors(connection, source, frozenset())
    mirrors.load()
    owned = {
        (schema, table)
        for schema, table in connection.execute(
            "select schema_name, table_name from log.mirror where source = %s", [source]
        )
    }
    lines = {(table.schema, table.name): table for table in tables(connection)}
    done = []
    with lake.open() as session:
        _epochs(session, connection)
        for mirror in mirrors.all():
            if (mirror.schema, mirror.table) in owned:
                rows = _rebuild(connection, session, mirrors, mirror, lines[mirror.schema, mirror.table])
                done.append(Rebuilt(f"{mirror.schema}.{mirror.table}", rows))
    return done


def _epochs(session: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Temporary table ``epoch``: epochs of all sources in the order they began."""
    session.execute("create temporary table epoch (source varchar, epoch integer, epoch_rank integer)")
    session.executemany(
        "insert into epoch values (?, ?, ?)",
        [
            list(row)
            for row in connection.execute(
                "select source, epoch, row_number() over (order by started_at, source, epoch)::int from log.epoch"
            )
        ],
    )


def _rebuild(
    connection: Connection, session: duckdb.DuckDBPyConnection, mirrors: Mirrors, mirror: Mirror, line: Table
) -> int:
    _make(connection, mirror)
    connection.execute(f"delete from {qualified(mirror.schema, mirror.table)}".encode())
    reach("rebuild.cleared")
    columns = [column for column in line.columns if column.name in mirror.columns]
    relation = Relation(
        mirror.relid,
        mirror.schema,
        mirror.table,
        "f",
        tuple(Column(column.name, 0, -1, column.name in mirror.key) for column in columns),
    )
    plan = mirrors.plan(relation)
    assert plan is not None, "a mirror has a key"
    _told(session, connection, mirror, line)
    _last_changes(session, connection, mirror)
    return _write(connection, session, plan, _versions(session, mirror, line))


def _make(connection: Connection, mirror: Mirror) -> None:
    """The table itself, where somebody dropped it."""
    name = qualified(mirror.schema, mirror.table)
    found = connection.execute("select to_regclass(%s) is not null", [name]).fetchone()
    if found is None or not found[0]:
        columns = [MirrorColumn(column.name, column.type_name) for column in mirror.columns.values()]
        connection.execute(f"create schema if not exists {name.split('.')[0]}".encode())
        connection.execute(create_sql(mirror.schema, mirror.table, columns, mirror.key).encode())


def _told(session: duckdb.DuckDBPyConnection, connection: Connection, mirror: Mirror, line: Table) -> None:
    """Temporary table ``told``: what each change told of each key (``k0``, ``k1`` …), in ``place``'s order.

    An update of the key told two keys something. A table that was emptied, or dropped, told each of its keys.
    """
    named = {column.name: column for column in line.columns}
    key = [named[name] for name in mirror.key]
    keys = ", ".join(f"k{i}" for i in range(len(key)))
    by_key = ", ".join(f"{text(column, 'key')} as k{i}" for i, column in enumerate(key))
    by_old = ", ".join(f"{text(column, 'before')} as k{i}" for i, column in enumerate(key))
    moved = " or ".join(f"{text(column, 'before')} <> {text(column, 'key')}" for column in key)
    what = "epoch, epoch_rank, batch_id, commit_no, committed_at, lsn, seq"
    session.execute(
        "create or replace temporary table change as select changes.* replace (coalesce(commit_no, 0) as commit_no),"
        " epoch_rank from lake.log.changes"
        f" join epoch using (source, epoch) where {condition(line)}"
    )
    session.execute(f"create or replace temporary table emptied as select {what} from change where op = 't'")
    _dropped(session, connection, mirror)
    _leave_out_parked(session, connection, mirror)
    session.execute(
        f"create or replace temporary table told as select *, {_PLACE.format(keys=keys)} as place from ("
        f"  select {by_key}, {what}, op, before, after from change where op <> 't'"
        "  union all"
        f"  select {by_old}, {what}, 'd', before, null from change where op = 'u' and before is not null and ({moved})"
        "  union all"
        f"  select {keys}, {what}, 't', null, null from emptied,"
        f"   (select distinct {by_key} from change where op <> 't') as every_key"
        " )"
    )


def _dropped(session: duckdb.DuckDBPyConnection, connection: Connection, mirror: Mirror) -> None:
    """A table that was dropped at the source was emptied then, before whatever a successor of its name told."""
    for source, epoch, lsn, seq, committed_at in connection.execute(
        "select source, epoch, (lsn - '0/0')::bigint, seq, committed_at from log.schema_change"
        " where schema_name = %s and table_name = %s and after is null",
        [mirror.schema, mirror.table],
    ):
        session.execute(
            "insert into emptied select epoch, epoch_rank, coalesce(last.batch_id, 0), coalesce(last.commit_no, 0),"
            " $time, $lsn, $seq from epoch"
            " left join (select epoch_rank, batch_id, commit_no from change where lsn < $lsn"
            "  qualify row_number() over (partition by epoch_rank order by batch_id desc, commit_no desc) = 1) as last"
            " using (epoch_rank) where source = $source and epoch = $epoch",
            {"lsn": lsn, "seq": seq, "time": committed_at, "source": source, "epoch": epoch},
        )


def _leave_out_parked(session: duckdb.DuckDBPyConnection, connection: Connection, mirror: Mirror) -> None:
    """What is parked has not been applied to the mirror, nor is it now; it still waits where it is."""
    for key, batch_id in connection.execute(
        "select key::text, min(batch_id) from log.parked where schema_name = %s and table_name = %s group by 1",
        [mirror.schema, mirror.table],
    ).fetchall():
        session.execute("delete from change where key = ? and batch_id >= ?", [key, batch_id])


def _last_changes(session: duckdb.DuckDBPyConnection, connection: Connection, mirror: Mirror) -> None:
    """Temporary table ``last``: of every key the last change that told of its row, and whether the row is deleted.

    An emptied table deletes the rows that stood, and leaves what they were; of those deleted before it says nothing.
    """
    keys = ", ".join(f"k{i}" for i in range(len(mirror.key)))
    session.execute(
        "create or replace temporary table last as"
        f" select told.*, op = 'd' as deleted from told where op <> 't'"
        f" qualify row_number() over (partition by {keys} order by place desc) = 1"
    )
    session.execute(
        f"create or replace temporary table ended as select {keys}, told.lsn, told.seq, told.committed_at"
        f" from told join last using ({keys}) where told.op = 't' and told.place > last.place and not last.deleted"
        f" qualify row_number() over (partition by {keys} order by told.place) = 1"
    )
    same = " and ".join(f"last.k{i} = ended.k{i}" for i in range(len(mirror.key)))
    session.execute(
        "update last set deleted = true, lsn = ended.lsn, seq = ended.seq, committed_at = ended.committed_at"
        f" from ended where {same}"
    )
    _not_found_again(session, connection, mirror)
    if mirror.dropped:
        session.execute("update last set deleted = true")


def _not_found_again(session: duckdb.DuckDBPyConnection, connection: Connection, mirror: Mirror) -> None:
    """Rows that a later reading of their whole table did not find, which landing flags as deleted without a change."""
    for source, epoch, purpose, lsn, finished_at in connection.execute(
        "select source, epoch, purpose, (stamp_lsn - '0/0')::bigint, finished_at from log.snapshot as read"
        " where finished_at is not null and ("
        "  purpose = 'repair' and exists (select from log.mirror where mirror.source = read.source"
        "   and mirror.schema_name = %(schema)s and mirror.table_name = %(table)s)"
        "  or sweeps and relid = %(relid)s and not exists (select from log.schema_change as change"
        "   where change.source = read.source and change.relid = read.relid and change.lsn > read.stamp_lsn"
        "   and change.applied_at < read.finished_at))"
        " order by snapshot_id",
        {"schema": mirror.schema, "table": mirror.table, "relid": mirror.relid},
    ).fetchall():
        rank = value(session, "select epoch_rank from epoch where source = ? and epoch = ?", [source, epoch])
        if purpose == "repair":
            session.execute(
                "update last set lsn = 0, seq = 0, deleted = true, committed_at = case when deleted then committed_at"
                " else coalesce((select max(committed_at) from change where op = 'r' and lsn = 0"
                " and epoch_rank = $rank), $finished) end where epoch_rank < $rank",
                {"rank": rank, "finished": finished_at},
            )
        else:
            session.execute(
                "update last set deleted = true, lsn = $lsn, seq = $seq, committed_at = coalesce((select"
                " max(committed_at) from change where op = 'r' and lsn = $lsn and epoch_rank = $rank), $finished)"
                " where not deleted and (epoch_rank < $rank or (epoch_rank = $rank and lsn < $lsn))",
                {"rank": rank, "finished": finished_at, "lsn": lsn, "seq": REREAD},
            )


def _versions(session: duckdb.DuckDBPyConnection, mirror: Mirror, line: Table) -> str:
    """The query of the rows: the mirror's columns, then lsn, seq, deleted and commit time in microseconds."""
    columns = [column for column in line.columns if column.name in mirror.columns]
    keys = ", ".join(f"k{i}" for i in range(len(mirror.key)))
    partial = value(session, "select exists (select 1 from told where op = 'u' and before is null)")
    if not partial and not any(column.dropped for column in mirror.columns.values()):
        values = ", ".join(
            f"k{mirror.key.index(column.name)}" if column.name in mirror.key else text(column, "after", "before")
            for column in columns
        )
        return f"select {values}, lsn, seq, deleted, epoch_us(committed_at) from last"
    # Some change did not tell every column: each column is as the last change told it that did.
    told = ", ".join(
        f"{_in_struct(column.name, text(column, 'after', 'before'))} as c{i}" for i, column in enumerate(columns)
    )
    latest = ", ".join(f"arg_max(c{i}, place) filter (where c{i} is not null) as c{i}" for i in range(len(columns)))
    values = ", ".join(
        f"last.k{mirror.key.index(column.name)}" if column.name in mirror.key else f"folded.c{i}.v"
        for i, column in enumerate(columns)
    )
    return (
        f"with each as (select {keys}, place, {told} from told where op <> 't'),"
        f" folded as (select {keys}, {latest} from each group by {keys})"
        f" select {values}, last.lsn, last.seq, last.deleted, epoch_us(last.committed_at)"
        f" from last left join folded using ({keys})"
    )


def _in_struct(name: str, column: str) -> str:
    """The column's value in a struct, so that null is a value; null where the change did not tell it."""
    path = literal('$."' + name.replace('"', '\\"') + '"')
    return (
        f"case when {column} is not null or json_exists(after, {path}) or json_exists(before, {path})"
        f" then struct_pack(v := {column}) end"
    )


def _write(connection: Connection, session: duckdb.DuckDBPyConnection, plan: Plan, query: str) -> int:
    raw = psycopg.RawCursor(connection)

    def execute(statement: str, parameters: Sequence[str]) -> None:
        raw.execute(statement.encode(), parameters, prepare=True)

    found = session.execute(query)
    written = 0
    while chunk := found.fetchmany(_CHUNK):
        plan.write(execute, [_version(row) for row in chunk], read=False)
        written += len(chunk)
    return written


def _version(row: tuple[Any, ...]) -> Version:
    *values, lsn, seq, deleted, committed_at = row
    return Version(values, lsn, seq, deleted, committed_at, False)

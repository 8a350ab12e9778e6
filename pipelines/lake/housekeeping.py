"""Keeps the lake's files few: merges small ones, lets go of snapshots that nobody reads, deletes what they held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from cdc.failpoints import reach
from pipelines.lake.lease import writing
from warehouse.lake.place import Lake, literal, rows

CROWD: Final = 6
"""Files of one table and day that are merged. With a load every 20 s and what waits for deletion (KEEP), a day of a
table has 20 on disk at most."""

KEEP: Final = 120
"""Seconds that a snapshot, and the files that merging replaced, stay for readers that began with them."""

ORPHANED: Final = 86_400
"""Seconds after which a file that no snapshot knows is what a killed process left behind."""

_CROWDED: Final = """
select distinct t.table_name
from (
  select f.table_id, string_agg(v.partition_value, '/' order by v.partition_key_index) as partition, f.data_file_id
  from lake.ducklake_data_file f
  left join lake.ducklake_file_partition_value v using (data_file_id)
  where f.end_snapshot is null
  group by f.table_id, f.data_file_id
) as file
join lake.ducklake_table t on t.table_id = file.table_id and t.end_snapshot is null
group by t.table_name, file.table_id, file.partition
having count(*) >= %s
order by 1
"""
_EXPIRABLE: Final = (
    "select exists (select from lake.ducklake_snapshot where snapshot_time < now() - make_interval(secs => %(keep)s)"
    " and snapshot_id < (select max(snapshot_id) from lake.ducklake_snapshot))"
    " or exists (select from lake.ducklake_files_scheduled_for_deletion"
    " where schedule_start < now() - make_interval(secs => %(keep)s))"
)


@dataclass(frozen=True, slots=True)
class Expired:
    """Snapshots let go of, and files deleted."""

    snapshots: int
    files: int


def crowded(log: psycopg.Connection[tuple[Any, ...]], files: int = CROWD) -> list[str]:
    """Tables of the lake of which one partition has that many files; ``log`` is connected to the warehouse."""
    return [str(table) for (table,) in log.execute(_CROWDED, [files])]


def expirable(log: psycopg.Connection[tuple[Any, ...]], keep: float = KEEP) -> bool:
    """Whether there is a snapshot to let go of, or a file to delete."""
    row = log.execute(_EXPIRABLE, {"keep": keep}).fetchone()
    return bool(row and row[0])


def compact(lake: Lake, *, files: int = CROWD) -> int:
    """Merges the small files of every crowded table; how many were replaced. Readers notice nothing.

    Raises LakeTaken, LakeUnavailable, psycopg.Error.
    """
    with writing(lake.log) as log:
        tables = crowded(log, files)
        if not tables:
            return 0
        with lake.open(writable=True) as session:
            merged = 0
            for table in tables:
                reach("lake.before_merge")
                merged += sum(
                    before
                    for *_, before, _ in rows(
                        session, f"call ducklake_merge_adjacent_files('lake', {literal(table)}, schema => 'log')"
                    )
                )
                reach("lake.after_merge")
            return merged


def expire(lake: Lake, *, keep: float = KEEP, orphaned: float = ORPHANED) -> Expired:
    """Lets go of snapshots older than ``keep`` seconds and deletes the files that were replaced as long ago.

    Files that no snapshot knows go after ``orphaned`` seconds; a load in progress writes such files, too.
    Raises LakeTaken, LakeUnavailable, psycopg.Error.
    """
    with writing(lake.log), lake.open(writable=True) as session:
        snapshots = rows(session, f"call ducklake_expire_snapshots('lake', older_than => {_ago(keep)})")
        reach("lake.after_expire")
        files = rows(session, f"call ducklake_cleanup_old_files('lake', older_than => {_ago(keep)})")
        files += rows(session, f"call ducklake_delete_orphaned_files('lake', older_than => {_ago(orphaned)})")
        return Expired(len(snapshots), len(files))


def _ago(seconds: float) -> str:
    return f"now() - interval '{seconds} seconds'"

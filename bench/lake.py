"""The lake: changes loaded a second, files of a table's day, one row's history among ten million changes, and
AdventureWorks rebuilt from it. Loads and merges run in this process against a durable cluster; the rebuild in a whole
installation.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psutil
import psycopg

from bench.figure import Figure
from bench.runtime import cpu
from headwater.embedded.postgres import WAREHOUSE, Cluster, free_port
from pipelines.lake.housekeeping import CROWD, compact, crowded, expire
from pipelines.lake.loader import drain
from pipelines.lake.worker import AFTER
from tests.datasets import find
from tests.lakes import LakeSide, lake_side
from tests.stack import Stack, eventually
from warehouse.lake.place import load_extensions, value
from warehouse.lake.read import changes

LOADED = 500_000
HISTORY = 10_000_000
DAYS = 10
RATE = 100
CHANGES_A_TRANSACTION = 3
HOUR = 3600

# Four tables take part, as an order with lines, its account and its contact do.
FILL = """
with batch as (
  insert into log.batch (source, epoch, from_lsn, to_lsn, changes, first_committed_at, last_committed_at)
  values ('headwater', 1, '0/0', '0/0', %(rows)s, now(), now()) returning batch_id
),
queued as (insert into log.queue (consumer, batch_id) select 'lake', batch_id from batch)
insert into log.change_log
select (now() at time zone 'utc')::date, batch.batch_id, 'headwater', 1, %(from)s + n, '0/0'::pg_lsn + %(from)s + n, 0,
  'u',
  (array['contacts', 'contacts', 'orders', 'orders'])[1 + n %% 4],
  (array['account', 'contact', 'sales_order', 'sales_order_line'])[1 + n %% 4],
  jsonb_build_object('id', md5((n %% 5000)::text)::uuid),
  jsonb_build_object('id', md5((n %% 5000)::text)::uuid, 'name', 'Company ' || n %% 5000, 'status', 'Active',
    'amount', (n * 7 %% 100000)::text, 'updated_at', now()::text, 'territory_id', md5((n %% 9)::text)::uuid),
  jsonb_build_object('id', md5((n %% 5000)::text)::uuid, 'name', 'Company ' || n %% 5000, 'status', 'On Hold',
    'amount', (n * 11 %% 100000)::text, 'updated_at', now()::text, 'territory_id', md5((n %% 9)::text)::uuid),
  now()
from batch, generate_series(1, %(rows)s) n
"""
TEN_MILLION = """
insert into lake.log.changes
select date '2026-01-01' + $day, $day * 1000000 + n // 1000, 'headwater', 1, $day * 1000000 + n, $day * 1000000 + n, 0,
  'u', 'contacts', 'account', format('{{"account_uuid": "{}"}}', key), format(image, key, n, 'Active', n * 7 % 100000),
  format(image, key, n, 'On Hold', n * 11 % 100000), timestamptz '2026-01-01' + to_days($day) + to_milliseconds(n), 1
from (
  select n, md5((hash(n) % 200000)::varchar)::varchar as key,
    '{{"name": "Company {0}", "status": "{2}", "annual_revenue": "{3}", "account_uuid": "{0}", "updated_at": "{1}"}}'
      as image
  from range($rows) as made (n)
)
"""


def run() -> Iterator[Figure]:
    with _cluster() as cluster:
        yield from _loading(cluster)
        yield from _files(cluster)
        yield from _history(cluster)
    yield from _rebuild()


def load() -> float:
    """Load average of the last minute: on a machine that others use, seconds say little without it."""
    return os.getloadavg()[0]


def _of_children() -> float:
    """CPU seconds of processes that this one started and waited for."""
    used = os.times()
    return used.children_user + used.children_system


@contextmanager
def _cluster() -> Iterator[Cluster]:
    root = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    root.chmod(0o711)
    cluster = Cluster("warehouse", root / "warehouse", free_port(), "postgres", WAREHOUSE)
    cluster.init()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop(immediate=True)
        shutil.rmtree(root, ignore_errors=True)


def _fill(side: LakeSide, rows: int, start: int) -> None:
    side.owner.execute(FILL.encode(), {"rows": rows, "from": start})


def _loading(cluster: Cluster) -> Iterator[Figure]:
    """The peer reads the same rows with the same library into one plain file: no catalogue, no parts, no sorting."""
    with lake_side(cluster) as side:
        for batch in range(LOADED // 10_000):
            _fill(side, 10_000, batch * 10_000)
        began = time.monotonic()
        done = drain(side.lake)
        seconds = time.monotonic() - began
        peer = _plain_copy(side)
    rate = done.changes / seconds
    yield Figure("changes loaded", round(rate), "/s", how=f"{LOADED:,} changes of four tables, loads of 50,000")
    yield Figure("of a plain copy to one file", round(peer / seconds, 2), "×", how="the same rows, DuckDB alone")


def _plain_copy(side: LakeSide) -> float:
    with duckdb.connect(config={"extension_directory": str(side.lake.scratch / "extensions"), "threads": 1}) as session:
        load_extensions(session)
        session.execute(f"attach '{side.lake.log}' as warehouse (type postgres, read_only)")
        began = time.monotonic()
        query = (
            "select key::text as key, before::text as before, after::text as after, committed_at from log.change_log"
        )
        target = side.lake.data / "plain.parquet"
        session.execute(f"copy (select * from postgres_query('warehouse', '{query}')) to '{target}' (compression zstd)")
        return time.monotonic() - began


def _files(cluster: Cluster) -> Iterator[Figure]:
    """An hour's loads one after the other: files are let go of after as many loads as their two minutes hold."""
    loads = round(HOUR / AFTER)
    rows = round(RATE * AFTER) * CHANGES_A_TRANSACTION
    with lake_side(cluster) as side:
        began: list[float] = []
        most, spent, cpu = 0, 0.0, 0.0
        for number in range(loads):
            began.append(time.monotonic())
            _fill(side, rows, number * rows)
            loading, busy = time.monotonic(), time.process_time()
            drain(side.lake)
            if crowded(side.owner):
                compact(side.lake)
            expire(side.lake, keep=time.monotonic() - began[max(0, number - CROWD)])
            spent += time.monotonic() - loading
            cpu += time.process_time() - busy
            most = max(most, max(Counter(file.parent for file in side.files()).values()))
        live = side.log(
            "select max(files) from (select count(*) as files from lake.ducklake_data_file f"
            " join lake.ducklake_file_partition_value v using (data_file_id) where v.partition_key_index = 1"
            " and f.end_snapshot is null group by v.partition_value) as tables"
        )[0][0]
    how = f"{loads} loads of {rows:,} changes, an hour of {RATE} transactions/s, with the clock at {HOUR / spent:.0f}×"
    yield Figure.at_most("files of a table and day, at most", most, 20, "files", f"on disk; {how}")
    yield Figure("of these in the catalogue at the end", int(live), "files")
    yield Figure("CPU of loading, merging, deleting", round(100 * cpu / HOUR, 1), "% of a core", how="this process")
    yield Figure("memory of the process", round(psutil.Process().memory_full_info().pss / 2**20), "MB", how="after it")


def _history(cluster: Cluster) -> Iterator[Figure]:
    with lake_side(cluster) as side:
        with side.lake.open(writable=True) as session:
            for day in range(DAYS):
                session.execute(TEN_MILLION, {"day": day, "rows": HISTORY // DAYS})
            key = value(session, "select min(key) from lake.log.changes where batch_id < 10")
        opening = time.monotonic()
        with side.lake.open() as session:
            first, busy = time.monotonic(), time.process_time()
            found = changes(session, "contacts", "account", key)
            cold, spent = time.monotonic() - first, time.process_time() - busy
            opened = first - opening
            taken = []
            for _ in range(5):
                again = time.monotonic()
                changes(session, "contacts", "account", key)
                taken.append(time.monotonic() - again)
            files = len(side.files())
    how = f"{len(found)} changes of {HISTORY:,} in {files} files; the first in its session; load average {load():.0f}"
    yield Figure.at_most("history of one account", round(1000 * cold), 200, "ms", how)
    yield Figure("CPU of that", round(1000 * spent), "ms", how="this process; the catalogue's server not counted")
    yield Figure("history again", round(1000 * sorted(taken)[2]), "ms", how="median of five")
    yield Figure("opening the lake", round(1000 * opened), "ms", how="a DuckDB session, two extensions, the catalogue")


def _rebuild() -> Iterator[Figure]:
    files = find("adventureworks")
    if files is None:
        yield Figure("rebuild from the lake", "not measured", how="the folder adventureworks is absent")
        return
    stack = Stack()
    try:
        stack.up()
        stack.run("import", "adventureworks", "--from", str(files), timeout=600)
        with psycopg.connect(stack.config.warehouse_url("postgres"), autocommit=True) as warehouse:
            waiting = "select 1 from log.queue limit 1"
            eventually(lambda: warehouse.execute(waiting.encode()).fetchone() is None, 300, "all readers are done")
        began, before = time.monotonic(), (sum(cpu(stack).values()), _of_children())
        told = stack.run("rebuild", "--from", "lake", timeout=600).stdout
        seconds = time.monotonic() - began
        spent = sum(cpu(stack).values()) - before[0] + _of_children() - before[1]
        equal = told.count("equal to what stood before")
        yield Figure.at_most(
            "AdventureWorks rebuilt from the lake",
            round(seconds, 1),
            60,
            "s",
            f"mirrors and marts; {equal} of 2 equal; load average {load():.0f}",
        )
        yield Figure("CPU of that", round(spent, 1), "s", how="the command and every process of the stack")
        pid = stack.pid("lake")
        if pid is not None:
            memory = round(psutil.Process(pid).memory_full_info().pss / 2**20)
            yield Figure("memory of the lake worker", memory, "MB", how="after the import was loaded")
    finally:
        stack.close()

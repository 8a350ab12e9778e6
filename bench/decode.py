"""Reading the stream: decoding alone, the replication slot end to end, and a snapshot, on a table of ten columns.

The table has REPLICA IDENTITY FULL; of 200,000 row events half are inserts, four tenths updates, one tenth deletes, in
transactions of 200. The machine may be shared, so CPU seconds are counted where a figure is one thread's work.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from bench.figure import Figure
from cdc.ddl import install
from cdc.keys import KeyHistory
from cdc.pgoutput import Decoder
from cdc.publications import ensure_publication
from cdc.slots import create_slot
from cdc.snapshot import begin_snapshot, read_chunks
from cdc.sources.replication import ReplicationConnection
from cdc.sources.slot import SlotSource
from headwater.embedded.postgres import OLTP, Cluster, free_port

EVENTS = 200_000
PER_TRANSACTION = 200
SNAPSHOT_ROWS = 500_000

Frame = tuple[int, bytes]

TABLE = """
create table {name} (
  id bigint primary key, account uuid, number text, status text, ordered timestamptz, total numeric(19,4),
  taxable boolean, quantity int, address jsonb, note text)
"""
ROWS = """
insert into {name}
select i, gen_random_uuid(), 'SO-' || i, 'confirmed', now(), i * 1.2345, i % 2 = 0, i % 100,
  jsonb_build_object('line1', i || ' High Street', 'city', 'Leeds', 'country', 'GB'), null
from generate_series({first}, {last}) i
"""


def run() -> Iterator[Figure]:
    root = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    root.chmod(0o711)
    cluster = Cluster("bench", root / "cluster", free_port(), "postgres", OLTP | {"fsync": "off"})
    cluster.init()
    process = cluster.start()
    try:
        yield from _measure(cluster, root / "spool")
    finally:
        cluster.stop(immediate=True)
        process.wait()
        shutil.rmtree(root)


def _measure(cluster: Cluster, spool: Path) -> Iterator[Figure]:
    dsn = cluster.dsn()
    with cluster.connect() as connection:
        connection.execute(TABLE.format(name="sales_order").encode())
        connection.execute("alter table sales_order replica identity full")
        connection.execute(TABLE.format(name="history").encode())
        connection.execute(ROWS.format(name="history", first=1, last=SNAPSHOT_ROWS).encode())
        ensure_publication(connection, "bench", ["public.sales_order"])
        install(connection)
        create_slot(dsn, "recorded")
        create_slot(dsn, "read")
        half = PER_TRANSACTION // 2
        for number in range(EVENTS // PER_TRANSACTION):
            first, last = number * half + 1, (number + 1) * half
            with connection.transaction():
                connection.execute(ROWS.format(name="sales_order", first=first, last=last).encode())
                connection.execute(
                    "update sales_order set status = 'shipped', note = 'left' where id between %s and %s",
                    [first, first + half * 4 // 5 - 1],
                )
                connection.execute("delete from sales_order where id between %s and %s", [last - half // 5 + 1, last])
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as catalogue:
        keys = KeyHistory(dsn, catalogue)
    transactions = _record(dsn)
    began = time.thread_time()
    decoder = Decoder("bench", keys, xid_reference=keys.next_xid)
    decoded = sum(len(decoder.transaction(frames).items) for frames in transactions)
    assert decoded == EVENTS
    rate = EVENTS / (time.thread_time() - began)
    yield Figure.at_least(
        "decode alone", round(rate), 25_000, "events/s", "pgoutput bytes to ChangeEvents, per CPU second"
    )

    source = SlotSource("bench", dsn, slot="read", publications=["bench"], spool_dir=spool)
    source.start(None)
    cpu, began, read = time.process_time(), time.monotonic(), 0
    while read < EVENTS:
        batch = source.read(10_000, 10)
        assert batch is not None
        read += batch.changes
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    source.close()
    how = f"slot to batches of 10,000, server's decoding included; {cpu / EVENTS * 1e6:.1f} µs of our CPU an event"
    yield Figure("read from the slot", round(EVENTS / seconds), "events/s", how=how)

    cpu, began, rows = time.process_time(), time.monotonic(), 0
    for chunk in read_chunks(dsn, begin_snapshot("bench", dsn, ["public.history"])):
        rows += len(chunk.events())
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    assert rows == SNAPSHOT_ROWS
    how = f"table to events of op r, in chunks; {cpu / rows * 1e6:.1f} µs of our CPU a row"
    yield Figure("snapshot read", round(rows / seconds), "rows/s", how=how)


def _record(dsn: str) -> list[list[Frame]]:
    """Every transaction of the slot ``recorded``, as raw messages."""
    connection = ReplicationConnection(dsn)
    connection.start("recorded", 0, ["bench"])
    connection.pgconn.nonblocking = 0
    transactions: list[list[Frame]] = []
    changes = 0
    while changes < EVENTS or transactions[-1][-1][1][:1] != b"C":
        length, frame = connection.pgconn.get_copy_data(0)
        assert length > 0, connection.end_reason()
        if frame[0] != ord("w"):
            continue
        data = bytes(frame[25:])
        if data[:1] == b"B":
            transactions.append([])
        changes += data[:1] in (b"I", b"U", b"D")
        transactions[-1].append((int.from_bytes(frame[1:9]), data))
    connection.close()
    return transactions


if __name__ == "__main__":
    for figure in run():
        print(f"{figure.name}: {figure.value:,} {figure.unit} ({figure.how})")

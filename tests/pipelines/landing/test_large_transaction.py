"""A transaction that does not fit memory lands whole, in one transaction, in bounded memory."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from tests.pipelines.landing.process import arguments, spawn
from tests.pipelines.landing.stage import Stage

ROWS = 500_000
PEAK_MB = 300


def test_half_a_million_rows_land_whole_in_bounded_memory(stage: Stage) -> None:
    stage.prepare(
        "create schema stock; create table stock.item (id int primary key, name text, price numeric(10,2),"
        " note text default 'something that was noted about this item', at timestamptz default now());"
        " alter table stock.item replica identity full",
        publish=("stock.item",),
    )
    process = spawn(arguments(stage.source, stage.target.dsn, stage.heartbeat_file))
    try:
        stage.wait_for(lambda: stage.state() == "streaming", "the stream")
        stage.database.run(
            f"insert into stock.item select n, 'item ' || n, n / 100.0 from generate_series(1, {ROWS}) n"
        )
        counts = set()
        looks = itertools.count()

        def landed() -> bool:
            """Counts now and then: while they are written, every count reads the uncommitted rows."""
            if next(looks) % 25 and not stage.target.run("select 1 from log.batch where changes > 0"):
                return False
            if stage.target.run("select to_regclass('raw_stock.item') is null") == [(True,)]:
                return False
            ((rows, logged),) = stage.target.run(
                "select (select count(*) from raw_stock.item), (select coalesce(sum(changes), 0) from log.batch)"
            )
            counts.add((rows, int(logged)))
            return bool(rows)

        stage.wait_for(landed, "the transaction", seconds=150)
        assert counts <= {(0, 0), (ROWS, ROWS)}
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert peak
        assert int(peak[1]) / 1024 < PEAK_MB
        assert stage.target.run("select count(*), count(distinct seq) from log.change_log where op <> 'r'") == [
            (ROWS, ROWS)
        ]
    finally:
        process.terminate()
        process.wait(30)
    total = "select count(*), sum(id), sum(price)::text, min(note), count(distinct at) from {} "
    assert stage.target.run(total.format("raw_stock.item")) == stage.database.run(total.format("stock.item"))

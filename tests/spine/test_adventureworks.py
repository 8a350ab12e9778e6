"""A real company through the whole spine: files → commands → WAL → mirror → marts, to the last digit."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headwater.state import PROJECT
from tests.datasets import folder
from tests.spine.totals import marts, wanted
from tests.stack import Stack, eventually
from tests.storm.storm import databases
from tests.storm.verify import verify

pytestmark = pytest.mark.timeout(600)
CHANGES = "select count(*) from log.change_log"


@pytest.fixture(scope="module")
def files() -> Path:
    return folder("adventureworks")


@pytest.fixture(scope="module")
def stack(files: Path) -> Iterator[Stack]:
    """AdventureWorks in an installation of its own, by an import that was killed in the middle and then repeated."""
    made = Stack()
    try:
        made.up()
        kill_in_the_middle(made, files)
        made.run("import", "adventureworks", "--from", str(files), timeout=400)
        yield made
    finally:
        made.close()


def kill_in_the_middle(stack: Stack, files: Path) -> None:
    """SIGKILL to the importer once some orders are committed."""
    importer = subprocess.Popen(
        [sys.executable, "-m", "headwater", "import", "adventureworks", "--from", str(files)],
        cwd=PROJECT,
        env=stack.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with psycopg.connect(stack.config.service_url("orders", role="postgres"), autocommit=True) as orders:
            some = "select count(*) from orders.sales_order"
            eventually(lambda: orders.execute(some).fetchone() > (2_000,) or importer.poll(), 200, "orders arrive")
            assert importer.poll() is None, "the import ended before it could be killed"
            importer.send_signal(signal.SIGKILL)
            importer.wait()
            assert orders.execute(some).fetchone() < (31_465,)
    finally:
        importer.kill()


def await_landed(stack: Stack, warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Until landing has read past what is committed now."""
    landed = "select max(lsn) >= %s::pg_lsn from log.position"
    with psycopg.connect(stack.config.url(stack.config.oltp, "headwater", "postgres"), autocommit=True) as oltp:
        (now,) = oltp.execute("select pg_current_wal_lsn()::text").fetchone() or ("0/0",)
    eventually(lambda: warehouse.execute(landed, [now]).fetchone() == (True,), 60, "landing has read past the import")


def test_the_marts_give_the_published_totals(warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    eventually(lambda: marts(warehouse) == wanted(), 120, "the marts are right")


def test_everything_agrees_down_to_the_row(stack: Stack, warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    await_landed(stack, warehouse)
    eventually(lambda: warehouse.execute("select count(*) from log.queue").fetchone() == (0,), 120)
    faults = [f"{finding.check}: {fault}" for finding in verify(databases(stack)) for fault in finding.faults]
    assert faults == []


def test_every_change_names_the_import_as_its_cause(warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    unattributed = warehouse.execute(
        "select count(*) from log.change_log as change where op <> 'r' and schema_name = 'orders'"
        " and not exists (select from log.transactions as t where (t.source, t.epoch, t.xid)"
        " = (change.source, change.epoch, change.xid) and t.seq <= change.seq)"
    ).fetchone()
    assert unattributed == (0,)
    commands = warehouse.execute(
        "select distinct command, reason from log.transactions where command like 'orders.import%'"
    ).fetchall()
    assert [command for command, _ in commands] == ["orders.import_sales_orders"]


def test_importing_again_changes_nothing(
    stack: Stack, files: Path, warehouse: psycopg.Connection[tuple[Any, ...]]
) -> None:
    eventually(lambda: marts(warehouse) == wanted(), 120, "the marts are right")
    before = warehouse.execute(CHANGES).fetchone()
    said = stack.run("import", "adventureworks", "--from", str(files), timeout=400).stdout
    assert "31,465" in said
    await_landed(stack, warehouse)
    assert warehouse.execute(CHANGES).fetchone() == before


def test_a_folder_without_a_file_is_refused_by_name(stack: Stack, tmp_path: Path, files: Path) -> None:
    for path in files.glob("*.parquet"):
        if path.name != "Sales.Store.parquet":
            (tmp_path / path.name).symlink_to(path)
    done = stack.run("import", "adventureworks", "--from", str(tmp_path), check=False)
    assert done.returncode != 0
    assert "Sales.Store.parquet" in done.stdout + done.stderr

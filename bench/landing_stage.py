"""Two durable clusters, a table of ten columns, and what the benchmark of landing does with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from cdc.publications import ensure_publication
from cdc.slots import create_slot, drop_slot
from headwater.config import Config, Server, new_passwords
from headwater.embedded.postgres import OLTP, WAREHOUSE, Cluster, free_port
from headwater.provision.warehouse import provision
from pipelines.landing.worker import SourceDatabase
from tests.pipelines.landing.process import arguments, spawn

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = """
  account_uuid uuid primary key default gen_random_uuid(), account_number text, name text,
  status text default 'Active', industry text default 'Manufacturing', annual_revenue numeric(19,4),
  currency char(3) default 'EUR',
  billing_address jsonb default '{"line1": "Main street 1", "city": "Berlin", "region": null, "country": "DE"}',
  version bigint default 1, updated_at timestamptz default clock_timestamp()
"""
INSERT = (
    "insert into {table} (account_number, name, annual_revenue)"
    " select 'AC-' || n, 'Account number ' || n, n * 1.5 from generate_series(1, {rows}) n"
)


class Clusters:
    """A source and a warehouse with the settings of an installation, and nothing else on them."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
        self.root.chmod(0o711)
        self.oltp = Cluster("oltp", self.root / "oltp", free_port(), "postgres", OLTP)
        self.warehouse = Cluster("warehouse", self.root / "warehouse", free_port(), "postgres", WAREHOUSE)
        for cluster in (self.oltp, self.warehouse):
            cluster.init()
            cluster.start()
        server = Server("127.0.0.1", self.warehouse.port, "postgres")
        self.config = Config(str(self.root), server, server, 0, "unused", new_passwords())
        provision(self.config)
        with self.warehouse.connect() as connection:
            connection.execute("create database peer template warehouse owner wh_owner")
        self.peer_dsn = self.warehouse.dsn("peer", user="wh_owner", password=self.config.passwords["wh_owner"])
        self.dsn = self.config.warehouse_url()

    def close(self) -> None:
        for cluster in (self.oltp, self.warehouse):
            cluster.stop(immediate=True)
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *statements: str) -> None:
        with self.oltp.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def table(self, name: str, *, identity: str = "full") -> None:
        """A published table ``contacts.<name>`` with a publication of its name."""
        self.run(
            "create schema if not exists contacts",
            f"create table contacts.{name} ({COLUMNS})",
            f"alter table contacts.{name} replica identity {identity}",
        )
        with self.oltp.connect() as connection:
            ensure_publication(connection, f"pub_{name}", [f"contacts.{name}"])

    def slot(self, name: str) -> None:
        create_slot(self.oltp.dsn(), name)

    def drop_slot(self, name: str) -> None:
        drop_slot(self.oltp.dsn(), name)

    def wal_lsn(self) -> str:
        return str(_one(self.oltp.dsn(), "select pg_current_wal_insert_lsn()"))

    @contextmanager
    def landing(self, table: str, slot: str) -> Iterator[psutil.Process]:
        """The landing process of a source named after its table."""
        source = SourceDatabase(table, self.oltp.dsn(), self.root / "spool", slot=slot, publications=(f"pub_{table}",))
        given = arguments(source, self.dsn, self.root / f"{table}.json")
        process = spawn(given, log=self.root / "landing.log")
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)

    @contextmanager
    def debezium(self, table: str, slot: str, *, settings: str, lands: bool, snapshot: bool) -> Iterator[Peer]:
        given = {
            "port": self.oltp.port,
            "password": "postgres",
            "database": "postgres",
            "publication": f"pub_{table}",
            "slot": slot,
            "snapshot_mode": "initial_only" if snapshot else "no_data",
            "table": f"contacts.{table}",
            "offsets": str(self.root / f"{slot}.offsets"),
            "settings": settings,
            "lands": lands,
            "warehouse": self.peer_dsn,
            "key": "account_uuid",
        }
        peer = Peer(given, self.root)
        try:
            yield peer
        finally:
            peer.close()

    def walsender_cpu(self) -> float:
        """CPU seconds of every walsender that lives."""
        return cpu_of_children(self.oltp, "walsender")


class Peer:
    """The process of bench/landing_peer.py and what it reports."""

    def __init__(self, given: dict[str, Any], directory: Path) -> None:
        self._log = directory / "peer.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.landing_peer", json.dumps(given)],
                cwd=directory,  # the engine writes a log directory where it runs
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def rate(self, expected: int, *, seconds: float = 900) -> float:
        """Records a second, from the first sample that has any to the first that has all."""
        deadline = time.monotonic() + seconds
        first: tuple[float, int] | None = None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith('{"at"'):
                continue
            sample = json.loads(line)
            if sample["seen"] and first is None:
                first = (sample["at"], sample["seen"])
            if sample["seen"] >= expected and first is not None:
                return (sample["seen"] - first[1]) / max(sample["at"] - first[0], 0.1)
            if time.monotonic() > deadline:
                raise RuntimeError(f"Debezium gave {sample['seen']} of {expected} records in {seconds:.0f} s")
        raise RuntimeError(f"Debezium's engine ended:\n{self._log.read_text()[-3000:]}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def cpu_of_children(cluster: Cluster, word: str) -> float:
    """CPU seconds of a cluster's server processes whose title holds ``word``."""
    total = 0.0
    for child in psutil.Process(cluster.pid()).children():
        try:
            if word in " ".join(child.cmdline()):
                times = child.cpu_times()
                total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def wait_for(condition: Callable[[], bool], *, seconds: float = 300, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds:.0f} s in vain")
        time.sleep(every)


def landed(dsn: str, source: str) -> tuple[int, float]:
    """(row changes, seconds) of a source's batches, from the end of the first to the end of the last."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = connection.execute(
            "select changes, extract(epoch from landed_at)::float8 from log.batch where source = %s order by batch_id",
            [source],
        ).fetchall()
        end = connection.execute(
            "select extract(epoch from updated_at)::float8 from log.position where source = %s", [source]
        ).fetchone()
    assert end is not None
    # landed_at is taken when a batch begins to be written, so the first batch's end is the second one's beginning.
    return sum(changes for changes, _ in rows[1:]), end[0] - rows[1][1]


def _one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]

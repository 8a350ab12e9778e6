"""Lakes for tests: a warehouse database with a hand-filled change log, its catalogue, and a directory of files."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from headwater.embedded.postgres import Cluster
from tests.mirror import Connection, Stream, make_mirror
from tests.passwords import PASSWORD
from warehouse.change_log import ensure_partitions
from warehouse.lake.place import Lake, rows
from warehouse.lake.tables import prepare

TEMPLATE = "lake_template"
READERS = ["admin", "auditor"]
"""Roles that may read every row."""

_numbers = itertools.count(1)
_made: set[int] = set()


@cache
def _scratch() -> Path:
    """DuckDB's extensions, copied once a run."""
    directory = Path(tempfile.mkdtemp(prefix="headwater-duckdb-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@dataclass
class LakeSide:
    """One warehouse database and its lake. ``stream`` lands changes by hand."""

    cluster: Cluster
    database: str
    lake: Lake
    owner: Connection
    stream: Stream

    def dsn(self, role: str = "wh_owner") -> str:
        return self.cluster.dsn(self.database, user=role, password=PASSWORD)

    def query(self, statement: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows from the lake; the warehouse is attached as ``warehouse``."""
        with self.lake.open(with_log=True) as session:
            return rows(session, statement, parameters)

    def log(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows from the warehouse."""
        cursor = self.owner.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def files(self) -> list[Path]:
        return sorted(self.lake.data.rglob("*.parquet"))

    def difference(self) -> list[tuple[Any, ...]]:
        """Identities of changes that are in the lake and the waiting change log together not exactly once."""
        return self.query(
            """
            select source, epoch, xid, lsn, seq, op, key, table_name, sum(found) from (
              select source, epoch, xid, lsn, seq, op, key, table_name, 1 as found from lake.log.changes
              union all
              select source, epoch, xid, lsn, seq, op, key, table_name, 1 from postgres_query('warehouse',
                'select source, epoch, xid, (lsn - ''0/0'')::bigint as lsn, seq, op::text, key::text, table_name,
                batch_id from log.change_log') as log
              where batch_id > coalesce((select max(to_batch) from lake.log.ranges where source = log.source), 0)
            ) group by all having sum(found) <> 1
            """
        )

    def count(self) -> tuple[int, int]:
        """(changes in the lake, changes in the change log)."""
        ((in_lake,),) = self.query("select count(*) from lake.log.changes")
        ((in_log,),) = self.log("select count(*) from log.change_log")
        return in_lake, in_log


def make_roles(cluster: Cluster) -> None:
    with cluster.connect() as server:
        for role in ("wh_owner", "wh_api", "wh_analyst", "wh_lake"):
            if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                login = "nologin" if role == "wh_analyst" else f"login password '{PASSWORD}'"
                server.execute(f"create role {role} {login}".encode())


def lake_of(cluster: Cluster, database: str, directory: Path) -> Lake:
    """The lake of a warehouse database, prepared."""
    make_roles(cluster)
    lake = Lake(
        catalogue=cluster.dsn(database, user="wh_lake", password=PASSWORD),
        log=cluster.dsn(database, user="wh_owner", password=PASSWORD),
        data=directory / "lake",
        scratch=_scratch(),
    )
    with psycopg.connect(cluster.dsn(database), autocommit=True) as superuser:
        prepare(lake, superuser, READERS)
    return lake


@contextmanager
def lake_side(cluster: Cluster) -> Iterator[LakeSide]:
    """A database and a directory of its own, removed afterwards."""
    make_roles(cluster)
    name = f"lake_{os.getpid()}_{next(_numbers)}"
    directory = Path(tempfile.mkdtemp(prefix="headwater-lake-"))
    with cluster.connect() as server:
        if cluster.port not in _made:
            server.execute(f"create database {TEMPLATE} owner wh_owner".encode())
            with psycopg.connect(
                cluster.dsn(TEMPLATE, user="wh_owner", password=PASSWORD), autocommit=True
            ) as template:
                make_mirror(template)
            _made.add(cluster.port)
        server.execute(f"create database {name} template {TEMPLATE} owner wh_owner".encode())
        try:
            lake = lake_of(cluster, name, directory)
            with psycopg.connect(lake.log, autocommit=True) as owner:
                yield LakeSide(cluster, name, lake, owner, Stream(owner))
        finally:
            server.execute(f"drop database {name} with (force)".encode())
            shutil.rmtree(directory, ignore_errors=True)


def age(owner: Connection, days: int) -> date:
    """Moves everything that is in the change log to a day in the past, as if it had landed then; that day."""
    day = datetime.now(UTC).date() - timedelta(days=days)
    ensure_partitions(owner, day)
    owner.execute("create temporary table aged as select * from log.change_log")
    owner.execute("delete from log.change_log")
    owner.execute("update aged set landed_on = %s", [day])
    owner.execute("insert into log.change_log select * from aged")
    owner.execute("drop table aged")
    owner.execute("update log.batch set landed_at = landed_at - make_interval(days => %s)", [days])
    owner.execute("update log.transactions set landed_on = %s", [day])
    return day


def killed_at(point: str, lake: Lake, statement: str) -> None:
    """Runs ``statement`` (``lake`` is in scope) in a process that is killed at the fail-point; it must be reached."""
    program = (
        "from pathlib import Path\nfrom warehouse.lake.place import Lake\n"
        "from pipelines.lake import housekeeping, loader, retention\n"
        f"lake = Lake({lake.catalogue!r}, {lake.log!r}, Path({str(lake.data)!r}), Path({str(lake.scratch)!r}))\n"
        f"{statement}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"HEADWATER_FAILPOINT": point},
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

"""The warehouse cluster in a backup: every database dumped from one snapshot each, with the roles they need."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg

from headwater.backup import lake, tools
from headwater.embedded.postgres import Cluster
from headwater.provision.warehouse import DATABASE

ROLES = "roles.sql"
DUMPS = "databases"

FILLING = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_wal_size": "16GB"}
"""Of a cluster that is filled: if the machine dies meanwhile, the restore is begun again."""


@dataclass(frozen=True, slots=True)
class Landed:
    """How far a source had landed in the snapshot that was dumped, in the WAL of which cluster and timeline; ``unread``
    names what was still to be read."""

    source: str
    lsn: str
    system_id: str
    timeline: int
    unread: str | None


LANDED = """
select
    position.source,
    position.lsn::text,
    position.system_id,
    position.timeline,
    (
        select
            case
                when snapshot.finished_at is null then snapshot.purpose || ' read of tables was not finished'
                else 'the stream had not passed the ' || snapshot.purpose || ' read of its tables'
            end
        from log.snapshot
        where
            snapshot.source = position.source and snapshot.epoch = position.epoch
            and (snapshot.finished_at is null or snapshot.finished_lsn > position.lsn)
        limit 1
    ) as unread
from log.position
order by position.source
"""


@dataclass(frozen=True, slots=True)
class Dumped:
    """What the snapshot holds that was dumped: how far sources had landed, migrations applied, names of the lake's
    files; and each database's size in bytes."""

    landed: list[Landed]
    migrations: list[str]
    lake: set[str]
    sizes: dict[str, int]


def dump(cluster: Cluster, directory: Path) -> Dumped:
    """Dumps roles and databases into ``directory``."""
    (directory / DUMPS).mkdir(parents=True, mode=0o700)
    with cluster.connect() as server:
        sizes = {
            str(name): int(str(size))
            for name, size in server.execute(
                "select datname, pg_database_size(oid) from pg_database"
                " where not datistemplate and datname <> 'postgres'"
            )
        }
    with psycopg.connect(cluster.dsn(DATABASE)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        landed = [Landed(*row) for row in connection.execute(LANDED)]
        migrations = [name for (name,) in connection.execute("select name from ops.schema_migration order by name")]
        files = lake.named(connection)
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row is not None
        _dump(cluster, DATABASE, directory, f"--snapshot={row[0]}")
    for name in sizes.keys() - {DATABASE}:
        _dump(cluster, name, directory)
    roles = tools.run(cluster, "pg_dumpall", "--roles-only")
    # Every cluster is made with this one.
    (directory / ROLES).write_text("".join(f"{r}\n" for r in roles.splitlines() if r != "CREATE ROLE postgres;"))
    return Dumped(landed, migrations, files, sizes)


def _dump(cluster: Cluster, database: str, directory: Path, *options: str) -> None:
    target = directory / DUMPS / database
    arguments = ["--format=directory", f"--jobs={tools.JOBS}", "--compress=gzip:1", "--no-sync", f"--file={target}"]
    tools.run(cluster, "pg_dump", *arguments, *options, database)


def restore(cluster: Cluster, directory: Path) -> None:
    """Makes the cluster and fills it. It stands stopped afterwards, with everything on disk."""
    if cluster.root.exists():
        shutil.rmtree(cluster.root)
    cluster.init()
    filling = Cluster(
        cluster.name, cluster.root, cluster.port, cluster.password, cluster.settings | FILLING, cluster.account
    )
    process = filling.start()
    try:
        tools.run(
            cluster, "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--quiet",
            f"--file={directory / ROLES}", "postgres",
        )  # fmt: skip
        for dumped in sorted((directory / DUMPS).iterdir()):
            tools.run(
                cluster, "pg_restore", "--create", "--exit-on-error", f"--jobs={tools.JOBS}",
                "--dbname=postgres", str(dumped),
            )  # fmt: skip
        tools.run(cluster, "vacuumdb", "--all", "--analyze-only", "--quiet", f"--jobs={tools.JOBS}")
    finally:
        filling.stop()
        process.wait()
    tools.synced(cluster.data)

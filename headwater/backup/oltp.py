"""The OLTP cluster in a backup: a physical copy taken while it is written to, and the WAL up to the cut."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from cdc.positions import parse_lsn
from headwater.backup import tools
from headwater.backup.errors import BackupError
from headwater.backup.manifest import digest
from headwater.embedded.postgres import Cluster

BASE, BASE_MANIFEST = "base.tar.gz", "backup_manifest"
WAL = "wal"
SLOT = "hw_backup"
"""Keeps the WAL that the backup needs, for as long as the session that made it lives."""

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def keeping_wal(cluster: Cluster) -> Iterator[Connection]:
    """A superuser's session; no WAL from here on is removed until it ends, however it ends."""
    with cluster.connect() as connection:
        try:
            connection.execute("select pg_create_physical_replication_slot(%s, true, true)", [SLOT])
        except psycopg.errors.DuplicateObject:
            raise BackupError("another backup of this installation is under way.") from None
        yield connection


def position(connection: Connection) -> str:
    """Where the WAL ends now."""
    return _text(connection, "select pg_current_wal_insert_lsn()::text")


def history(connection: Connection) -> tuple[str, int]:
    """(system identifier, timeline): what makes a position of this cluster meaningful."""
    row = connection.execute(
        "select system_identifier::text, timeline_id from pg_control_system(), pg_control_checkpoint()"
    ).fetchone()
    assert row is not None
    return str(row[0]), int(row[1])


def copy_base(cluster: Cluster, directory: Path) -> tuple[str, int]:
    """Copies the data files into ``directory``. Returns the WAL position to begin at, and its timeline."""
    directory.mkdir(mode=0o700)
    tools.run(
        cluster,
        "pg_basebackup",
        f"--pgdata={directory}",
        "--format=tar",
        "--compress=client-gzip:1",
        "--wal-method=none",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--label=headwater",
        "--no-sync",
    )
    ranges = json.loads((directory / BASE_MANIFEST).read_text())["WAL-Ranges"]
    return str(ranges[0]["Start-LSN"]), int(ranges[-1]["Timeline"])


def copy_wal(connection: Connection, cluster: Cluster, begin: str, directory: Path, timeline: int) -> str:
    """Copies the WAL segments from ``begin`` to now; returns the position where they end.

    The last segment is completed first, by a record that lies beyond everything committed so far: recovery must find
    something behind its target.
    """
    connection.execute("select pg_logical_emit_message(false, 'headwater.backup', '', true)")
    end = _text(connection, "select pg_switch_wal()::text")
    size = int(_text(connection, "select setting from pg_settings where name = 'wal_segment_size'"))
    directory.mkdir(mode=0o700)
    for number in range(parse_lsn(begin) // size, (parse_lsn(end) - 1) // size + 1):
        per_file = (1 << 32) // size
        name = f"{timeline:08X}{number // per_file:08X}{number % per_file:08X}"
        _pack(cluster.data / "pg_wal" / name, directory / f"{name}.gz")
    for history in (cluster.data / "pg_wal").glob("*.history"):
        _pack(history, directory / f"{history.name}.gz")
    return end


def restore(cluster: Cluster, directory: Path, *, target: str | None) -> None:
    """Unpacks the copy into ``cluster`` and lets it recover: up to ``target``, or to the end of the WAL copied.

    The cluster stands stopped afterwards, on a timeline of its own: positions of the old one never pass for its own.
    """
    cluster.root.mkdir(parents=True, mode=0o700)
    cluster.data.mkdir(mode=0o700)
    with tarfile.open(directory / BASE, "r|gz") as packed:
        packed.extractall(cluster.data, filter="data")
    _check(cluster.data, json.loads((directory / BASE_MANIFEST).read_text()))
    for packed_segment in (directory / WAL).iterdir():
        segment = cluster.data / "pg_wal" / packed_segment.name.removesuffix(".gz")
        with gzip.open(packed_segment) as source, segment.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    (cluster.data / "recovery.signal").touch(mode=0o600)
    _give(cluster)
    recovery = {"restore_command": "false", "recovery_target_timeline": "current", "hot_standby": "off"}
    if target is not None:
        # Everything before the target is replayed and nothing that begins at it.
        recovery |= {
            "recovery_target_lsn": target,
            "recovery_target_inclusive": "off",
            "recovery_target_action": "promote",
        }
    recovering = Cluster(
        cluster.name, cluster.root, cluster.port, cluster.password, cluster.settings | recovery, cluster.account
    )
    process = recovering.start(timeout=3600.0)
    recovering.stop()
    process.wait()
    (cluster.root / "initialised").touch()


def _check(data: Path, manifest: dict[str, Any]) -> None:
    """Every file that the server sent, by the digest that the server sent, before recovery changes anything.

    pg_verifybackup does the same; the wheel's ends with a segmentation fault (18.4).
    """
    for file in manifest["Files"]:
        path = data / (file["Path"] if "Path" in file else bytes.fromhex(file["Encoded-Path"]).decode())
        if not path.is_file() or path.stat().st_size != file["Size"] or digest(path) != file["Checksum"]:
            raise BackupError(f"{path} is not as the server sent it; the backup cannot be restored.")


def _give(cluster: Cluster) -> None:
    """PostgreSQL's account owns its files, and nobody else reads them."""
    for directory, _, names in os.walk(cluster.root):
        cluster.account.own(Path(directory))
        os.chmod(directory, 0o700)
        for name in names:
            cluster.account.own(Path(directory, name))
            os.chmod(Path(directory, name), 0o600)


def _pack(source: Path, target: Path) -> None:
    with source.open("rb") as file, gzip.open(target, "wb", compresslevel=1) as packed:
        shutil.copyfileobj(file, packed, 1 << 20)


def _text(connection: Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])

"""PostgreSQL's own programs, run against a cluster of this installation with their words as the error."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from headwater.backup.errors import BackupError
from headwater.embedded.account import unprivileged_account
from headwater.embedded.binaries import bin_dir
from headwater.embedded.postgres import Cluster

JOBS = 2
"""Parallel sessions of pg_dump and pg_restore."""


def run(cluster: Cluster | None, program: str, *arguments: str) -> str:
    """Runs ``program`` as the cluster's superuser and returns what it printed. Raises BackupError with its words."""
    environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    if cluster is not None:
        environment |= {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(cluster.port),
            "PGUSER": "postgres",
            "PGPASSWORD": cluster.password,
            "PGAPPNAME": "headwater backup",
        }
    command = [str(bin_dir(unprivileged_account()) / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        words = (done.stderr or done.stdout).strip() or f"it ended with {done.returncode}"
        raise BackupError(f"{program} failed: {words[-2000:]}")
    return done.stdout


def version() -> str:
    """PostgreSQL's version, such as ``18.4``."""
    return run(None, "postgres", "--version").split()[-1]


def synced(path: Path) -> None:
    """Makes every file below ``path``, and their names, durable."""
    for directory, _, names in os.walk(path):
        for name in names:
            fsync(Path(directory, name))
        fsync(Path(directory))


def fsync(path: Path) -> None:
    """Makes a file's content, or a directory's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

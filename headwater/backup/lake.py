"""The lake's files in a backup: what the dumped catalogue names, copied while loader and compaction go on.

Data files never change once written, so a file copied after the catalogue's snapshot is as the snapshot knew it. If one
was cleaned away between the two, the warehouse is dumped once more.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from headwater.backup.errors import BackupError
from warehouse.lake.place import SCHEMA

FILES = "lake"


def named(connection: psycopg.Connection[tuple[Any, ...]]) -> set[str]:
    """Names of the files that the catalogue holds in this transaction's snapshot; DuckLake never uses a name twice."""
    row = connection.execute("select to_regclass(%s) is not null", [f"{SCHEMA}.ducklake_data_file"]).fetchone()
    if row is None or not row[0]:
        return set()
    rows = connection.execute(
        f"select path from {SCHEMA}.ducklake_data_file union select path from {SCHEMA}.ducklake_delete_file".encode()
    )
    return {str(path).rpartition("/")[2] for (path,) in rows}


def copy(source: Path, directory: Path) -> set[str]:
    """Copies every file of the lake; returns their names."""
    copied = set()
    for path in sorted(source.rglob("*")):
        if path.is_dir():
            continue
        target = directory / FILES / path.relative_to(source)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # cleaned away since; whether it is missed, the catalogue says
            shutil.copyfile(path, target)
            copied.add(path.name)
    return copied


def restore(directory: Path, target: Path) -> None:
    """Puts the lake's files into the empty ``target``. Raises BackupError if something is there."""
    if not (directory / FILES).is_dir():
        return
    if target.exists() and any(target.iterdir()):
        raise BackupError(f"{target} is not empty; the lake is restored into an empty place.")
    shutil.copytree(directory / FILES, target, dirs_exist_ok=True)
    target.chmod(0o700)

"""Where a backup lies: a directory, or one file (``.tar``) that holds the same directory."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.backup.errors import BackupError
from headwater.backup.tools import fsync

PARTIAL = ".partial"
MARK = "unfinished-backup"
"""A file in every directory that a backup is being made in, so that only such leftovers are ever deleted."""


def is_file(target: Path) -> bool:
    """Whether ``target`` names a backup in one file."""
    return target.suffix == ".tar"


@contextmanager
def new(target: Path) -> Iterator[Path]:
    """An empty directory for the backup's files, which becomes ``target`` if the block ends well and is gone if not.

    Raises BackupError if ``target`` exists, or something that is no leftover of ours stands in the way.
    """
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise BackupError(f"{target} exists already; a backup never overwrites anything.")
    partial = target.with_name(target.name + PARTIAL)
    if partial.exists():
        if not (partial / MARK).exists():
            raise BackupError(f"{partial} stands in the way and is no unfinished backup; move it.")
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700, parents=True)
    (partial / MARK).touch()
    packed = target.with_name(target.name + ".packing")
    try:
        yield partial
        (partial / MARK).unlink()
        if is_file(target):
            with tarfile.open(packed, "w") as archive:
                os.chmod(packed, 0o600)
                for path in sorted(partial.rglob("*")):
                    if path.is_file():
                        archive.add(path, arcname=str(path.relative_to(partial)), recursive=False)
            fsync(packed)
            packed.rename(target)
            shutil.rmtree(partial)
        else:
            if target.exists():
                target.rmdir()
            partial.rename(target)
        fsync(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        packed.unlink(missing_ok=True)
        raise


@contextmanager
def opened(source: Path, near: Path) -> Iterator[Path]:
    """The backup as a directory; one in a file is unpacked below ``near`` for as long as the block lasts.

    Raises BackupError for what cannot be a backup.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise BackupError(f"{source} does not exist.")
    near.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(prefix=".backup-", dir=near))
    try:
        try:
            with tarfile.open(source, "r:") as archive:
                archive.extractall(unpacked, filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise BackupError(f"{source} is no backup, or was cut short: {error}.") from error
        yield unpacked
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)

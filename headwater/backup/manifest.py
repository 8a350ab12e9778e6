"""What a backup says of itself: versions, positions, and every file's size and digest. Written last, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headwater.backup.errors import BackupError

NAME = "manifest.json"
SEAL = "manifest.sha256"
FORMAT, READ = 2, (1, 2)
"""Written, and read: the first knew no clusters of services."""
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceCut:
    """How one source stands in the backup. ``landed`` is the LSN that the warehouse's copy has landed up to.

    ``exact``: the restored source ends at ``landed`` and nothing waits to be read again, so that its stream goes on
    without a snapshot. Otherwise ``why`` says what is missing, and restoring has every table of it read again.
    """

    source: str
    database: str
    landed: str
    exact: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class ClusterCopy:
    """A service's own cluster: which WAL was copied. It is restored to the end of it."""

    system_id: str
    timeline: int
    wal_from: str
    wal_to: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``began`` and ``ended`` are ISO 8601 in UTC. LSNs are PostgreSQL's text form.

    ``acknowledged`` is the OLTP's position when the backup was asked for: every write that was answered before is in
    it. ``target`` is where the restored OLTP cluster ends, None for the end of the WAL that was copied.
    ``migrations``: what the warehouse and each service had been migrated to. ``lake_missing`` names files that the
    lake's catalogue holds and its directory did not. ``clusters``: those that services have to themselves.
    """

    format: int
    headwater: str
    postgres: str
    system_id: str
    timeline: int
    began: str
    ended: str
    acknowledged: str
    target: str | None
    wal_from: str
    wal_to: str
    sources: list[SourceCut]
    databases: dict[str, int]
    migrations: dict[str, list[str]]
    lake_missing: list[str]
    files: dict[str, tuple[int, str]] = field(repr=False)
    clusters: dict[str, ClusterCopy] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())

    def write(self, directory: Path) -> None:
        """The manifest and, after it, its own digest: a manifest without one was cut short."""
        text = json.dumps(asdict(self), indent=1).encode()
        (directory / NAME).write_bytes(text)
        (directory / SEAL).write_text(hashlib.sha256(text).hexdigest() + "\n")


def read(directory: Path) -> Manifest:
    """The manifest of the backup in ``directory``. Raises BackupError for what is none, or is of a newer format."""
    try:
        text = (directory / NAME).read_bytes()
        seal = (directory / SEAL).read_text().strip()
    except FileNotFoundError as error:
        raise BackupError(
            f"{directory} is no backup, or one that was not finished: {Path(error.filename).name} is missing."
        ) from None
    if hashlib.sha256(text).hexdigest() != seal:
        raise BackupError(f"{directory / NAME} was changed after the backup was taken: its digest is another.")
    raw: dict[str, Any] = json.loads(text)
    if raw.get("format") not in READ:
        raise BackupError(
            f"{directory} has format {raw.get('format')}, this version of Headwater reads {READ[-1]}; "
            f"restore it with the version that took it ({raw.get('headwater')})."
        )
    sources = [SourceCut(**source) for source in raw.pop("sources")]
    files = {name: (size, digest) for name, (size, digest) in raw.pop("files").items()}
    clusters = {name: ClusterCopy(**copy) for name, copy in raw.pop("clusters", {}).items()}
    return Manifest(sources=sources, files=files, clusters=clusters, **raw)


def inventory(directory: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file below ``directory``, by relative name."""
    return {
        str(path.relative_to(directory)): (path.stat().st_size, digest(path))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name not in (NAME, SEAL)
    }


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


def differences(directory: Path, manifest: Manifest) -> Iterator[str]:
    """A sentence for each file that is not as it was when the backup was taken."""
    for name, (size, wanted) in manifest.files.items():
        path = directory / name
        if not path.is_file():
            yield f"{name} is missing."
        elif path.stat().st_size != size:
            yield f"{name} has {path.stat().st_size:,} bytes instead of {size:,}."
        elif digest(path) != wanted:
            yield f"{name} is corrupted: its digest is another."
    known = manifest.files.keys() | {NAME, SEAL}
    for path in directory.rglob("*"):
        if path.is_file() and (name := str(path.relative_to(directory))) not in known:
            yield f"{name} does not belong to the backup."

"""Takes a backup of a running installation, while it is written to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg

from cdc.failpoints import reach
from cdc.positions import parse_lsn
from headwater.backup import lake, oltp, place, tools, warehouse
from headwater.backup.errors import BackupError
from headwater.backup.manifest import FORMAT, ClusterCopy, Manifest, SourceCut, inventory
from headwater.config import SERVICES, Config, elsewhere
from headwater.embedded.postgres import Cluster
from headwater.installation import clusters
from headwater.lake import lake as lake_of
from headwater.state import Home
from headwater.supervisor.lock import Lock

FAILPOINTS = ("backup.after_base", "backup.after_dump", "backup.before_manifest", "backup.before_rename")

LANDING_PATIENCE = 60.0
"""Seconds to wait for landing to pass the OLTP's copy."""

DUMPS = 3
"""How often the warehouse is dumped, at the most, until the lake's files are those that its catalogue names."""

KEPT = ("config.json", "login.txt", "demo.json", "metrics.token")
"""Files of the home that go into the backup; ``keys`` goes whole. Everything else is made anew from these."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Taken:
    target: Path
    manifest: Manifest
    seconds: float


def take(home: Home, settings: Config, target: Path, say: Say, *, patience: float = LANDING_PATIENCE) -> Taken:
    """Writes a backup to ``target``, which must not exist. Raises BackupError; nothing is left behind then.

    ``patience``: seconds to wait for the warehouse, if it is behind; a restored source that it did not reach is read
    again whole. Passwords and keys are in the backup, in clear text and readable for their owner alone.
    """
    _only_own_clusters(settings)
    lock = Lock(home.run, "backup")
    if not lock.acquire():
        raise BackupError(f"process {lock.holder()} takes a backup already.")
    began, started = _now(), time.monotonic()
    try:
        with place.new(target.absolute()) as directory:
            manifest = _write(home, settings, directory, began, say, patience)
            reach("backup.before_rename")
    except OSError as error:
        raise BackupError(f"the backup could not be written: {error}. Nothing of it was kept.") from error
    finally:
        lock.release()
    return Taken(target, manifest, time.monotonic() - started)


def _write(home: Home, settings: Config, directory: Path, began: str, say: Say, patience: float) -> Manifest:
    left, right, *others = clusters(home, settings)
    with oltp.keeping_wal(left) as session, ExitStack() as stack:
        acknowledged = oltp.position(session)
        history = oltp.history(session)
        say("copying the OLTP cluster")
        begin, timeline = oltp.copy_base(left, directory / "oltp")
        copies = [_Copy.begun(other, stack, directory) for other in others]
        reach("backup.after_base")
        marks = _mark(settings)
        reached = False
        if settings.profile != "kafka":  # there every table is read again, however far it had landed
            say("waiting for the warehouse to have landed as much")
            reached = _await_landed(settings, marks, history, patience)
        say("dumping the warehouse")
        dumped, missing = _dump_read_side(settings, right, directory)
        reach("backup.after_dump")
        cuts, target = _cut(settings, dumped.landed, marks if reached else {}, history)
        say("copying the write-ahead log up to the cut")
        end = oltp.copy_wal(session, left, begin, directory / "oltp" / oltp.WAL, timeline)
        services = {copy.cluster.name: copy.finished() for copy in copies}
        migrations = {warehouse.DATABASE: dumped.migrations} | _migrations_of_services(settings)
    _copy_home(home, directory / "home")
    reach("backup.before_manifest")
    tools.synced(directory)
    files = {name: file for name, file in inventory(directory).items() if name != place.MARK}
    manifest = Manifest(
        format=FORMAT,
        headwater=version("headwater"),
        postgres=tools.version(),
        system_id=history[0],
        timeline=timeline,
        began=began,
        ended=_now(),
        acknowledged=acknowledged,
        target=target,
        wal_from=begin,
        wal_to=end,
        sources=cuts,
        databases=dumped.sizes,
        migrations=migrations,
        lake_missing=missing,
        files=files,
        clusters=services,
    )
    manifest.write(directory)
    tools.synced(directory)
    return manifest


@dataclass(frozen=True, slots=True)
class _Copy:
    """A service's own cluster while its copy is made."""

    cluster: Cluster
    session: oltp.Connection
    directory: Path
    begin: str
    timeline: int

    @classmethod
    def begun(cls, cluster: Cluster, stack: ExitStack, directory: Path) -> _Copy:
        session = stack.enter_context(oltp.keeping_wal(cluster))
        begin, timeline = oltp.copy_base(cluster, directory / cluster.name)
        return cls(cluster, session, directory / cluster.name, begin, timeline)

    def finished(self) -> ClusterCopy:
        end = oltp.copy_wal(self.session, self.cluster, self.begin, self.directory / oltp.WAL, self.timeline)
        return ClusterCopy(oltp.history(self.session)[0], self.timeline, self.begin, end)


def _only_own_clusters(settings: Config) -> None:
    if elsewhere() is not None:
        raise BackupError(
            "this installation stands on clusters that others run: back those up with their own tools, and the home "
            "with them; docs/deploying.md says in which order."
        )
    for service in SERVICES:
        if service in settings.placements and not settings.placements[service].streamed:
            raise BackupError(f"{service} is on its way to another database; `headwater split {service}` first.")
        with_password = psycopg.conninfo.conninfo_to_dict(settings.service_url(service, role="postgres"))
        where = (with_password["host"], int(str(with_password["port"])))
        if where not in {(server.host, server.port) for server in settings.oltp_clusters().values()}:
            raise BackupError(
                f"{service} lives in a cluster of its own at {where[0]}:{where[1]}, which this command cannot restore. "
                f"Back that cluster up with its own tools; once it is restored, `headwater repair {service}` "
                "reads it again."
            )


def _mark(settings: Config) -> dict[str, int]:
    """Commits an empty transaction to each source's WAL and returns where it stands: landing passes there at once,
    where an idle source's position would be stored only every ten seconds."""
    marks = {}
    for source, services in settings.source_databases().items():
        with psycopg.connect(settings.service_url(services[0], role="postgres"), autocommit=True) as database:
            row = database.execute("select pg_logical_emit_message(true, 'headwater.backup', '')::text").fetchone()
            assert row is not None
            marks[source] = parse_lsn(str(row[0]))
    return marks


def _await_landed(settings: Config, marks: dict[str, int], history: tuple[str, int], patience: float) -> bool:
    """Whether landing of every source has passed its mark in time, in this cluster's own history."""
    deadline = time.monotonic() + patience
    with psycopg.connect(settings.warehouse_url(), autocommit=True) as connection:
        while True:
            rows = connection.execute(
                "select source, lsn::text from log.position where (system_id, timeline) = (%s, %s)", history
            ).fetchall()
            landed = {str(source): parse_lsn(str(lsn)) for source, lsn in rows}
            if all(landed.get(source, 0) >= mark for source, mark in marks.items()):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)


def _dump_read_side(settings: Config, cluster: Cluster, directory: Path) -> tuple[warehouse.Dumped, list[str]]:
    """What was dumped, and the names of the lake's files that are gone: by hand, if three dumps do not find them."""
    for _ in range(DUMPS):
        shutil.rmtree(directory / "warehouse", ignore_errors=True)
        shutil.rmtree(directory / lake.FILES, ignore_errors=True)
        dumped = warehouse.dump(cluster, directory / "warehouse")
        missing = sorted(dumped.lake - lake.copy(lake_of(settings).data, directory))
        if not missing:
            break
    return dumped, missing


def _cut(
    settings: Config, landed: list[warehouse.Landed], marks: dict[str, int], history: tuple[str, int]
) -> tuple[list[SourceCut], str | None]:
    """How each source stands, and the position at which the restored OLTP cluster ends.

    The cluster is cut where its furthest source has landed, if every source has passed the end of the copy: before
    it, data files and WAL disagree. A source that had not reached the cut is read again.
    """
    known = {row.source: row for row in landed}
    target = max((known[source].lsn for source in marks if source in known), key=parse_lsn, default=None)
    cuts = []
    for source, services in settings.source_databases().items():
        row = known.get(source)
        database = settings.service_url(services[0], role="postgres").rpartition("/")[2]
        if row is not None and settings.profile == "kafka":
            cuts.append(SourceCut(source, database, row.lsn, exact=False, why="Kafka's data are in no backup"))
        elif row is None:
            cuts.append(SourceCut(source, database, "0/0", exact=False, why="it was never landed"))
        elif (row.system_id, row.timeline) != history:
            why = "its landing had stopped at another history of the cluster"
            cuts.append(SourceCut(source, database, row.lsn, exact=False, why=why))
        elif target is None:
            why = f"the warehouse, at {row.lsn}, was behind the OLTP cluster"
            cuts.append(SourceCut(source, database, row.lsn, exact=False, why=why))
        elif row.unread is not None:
            cuts.append(SourceCut(source, database, row.lsn, exact=False, why=row.unread))
        elif row.lsn != target:
            why = f"it had landed up to {row.lsn}, another source of its cluster up to {target}"
            cuts.append(SourceCut(source, database, row.lsn, exact=False, why=why))
        else:
            cuts.append(SourceCut(source, database, row.lsn, exact=True))
    return cuts, target


def _migrations_of_services(settings: Config) -> dict[str, list[str]]:
    found = {}
    for services in settings.source_databases().values():
        for service in services:
            with psycopg.connect(settings.service_url(service, role="postgres"), autocommit=True) as database:
                rows = database.execute(
                    f"select app || '.' || name from \"{service}\".django_migrations order by 1".encode()
                )
                found[service] = [str(name) for (name,) in rows]
    return found


def _copy_home(home: Home, directory: Path) -> None:
    directory.mkdir(mode=0o700)
    for name in KEPT:
        if (home.root / name).exists():
            shutil.copy(home.root / name, directory / name)
    if (home.root / "keys").is_dir():
        shutil.copytree(home.root / "keys", directory / "keys")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

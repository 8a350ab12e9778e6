"""Restores a backup into an empty home, on this machine's ports and account."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cdc.failpoints import reach
from cdc.positions import Position
from cdc.slots import create_slot, read_epoch
from headwater import config, landing, ports, streaming
from headwater.backup import lake, oltp, place, verify, warehouse
from headwater.backup.errors import BackupError
from headwater.backup.manifest import Manifest, SourceCut
from headwater.backup.take import KEPT
from headwater.config import Config
from headwater.embedded.account import unprivileged_account
from headwater.embedded.postgres import Cluster
from headwater.installation import clusters
from headwater.kafka_repair import forget_dispatched, forget_landed
from headwater.lake import lake as lake_of
from headwater.ports import Claims
from headwater.state import Home
from headwater.supervisor.lock import Lock
from pipelines.landing.repair import repair as repair_landing
from pipelines.landing.sinks.warehouse import WarehouseSink

FAILPOINTS = ("restore.after_clusters", "restore.before_config")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """``said``: sentences that a person should read."""

    manifest: Manifest
    seconds: float
    said: list[str]


def restore(source: Path, home: Home, say: Say) -> Restored:
    """Makes an installation in ``home`` from the backup ``source``; it does not run yet. Raises BackupError.

    The backup is checked whole before anything is written. The home must be empty; one whose restore was interrupted
    is begun anew.
    """
    started = time.monotonic()
    _require_empty(home)
    with place.opened(source.absolute(), home.root.parent) as directory:
        say("checking every file of the backup")
        manifest = verify.check(directory)
        verify.check_versions(manifest)
        account = unprivileged_account()
        _clear(home)
        home.create(account)
        home.restoring.touch()
        lock = Lock(home.run)
        if not lock.acquire():
            raise BackupError(f"process {lock.holder()} runs in {home.root}.")
        claims = Claims()
        try:
            settings, said = _settings(directory, home, claims)
            _fill(directory, home, settings, manifest, say)
            said += _go_on(home, settings, manifest, say)
            _put_back(directory, home)
            reach("restore.before_config")
            settings.save()
            home.restoring.unlink()
        except OSError as error:
            raise BackupError(f"the restore stopped: {error}. Begin it again once the cause is gone.") from error
        finally:
            claims.release()
            lock.release()
    return Restored(manifest, time.monotonic() - started, said)


def _require_empty(home: Home) -> None:
    if not home.root.exists() or home.restoring.exists():
        return
    holder = Lock(home.run).holder() if home.run.exists() else None
    if holder is not None:
        raise BackupError(f"Headwater runs in {home.root} (process {holder}); a backup is restored into an empty home.")
    if any(home.root.iterdir()):
        raise BackupError(
            f"{home.root} is not empty. Restore into another home (HEADWATER_HOME=...), or delete what is there with "
            "`headwater down --erase`."
        )


def _clear(home: Home) -> None:
    """Removes what an interrupted restore left, its servers included."""
    if home.restoring.exists():
        from headwater.installation import stop_leftovers

        stop_leftovers(home)
        home.erase()


def _settings(directory: Path, home: Home, claims: Claims) -> tuple[Config, list[str]]:
    """The backup's configuration in its new place, on ports that are free here, and a sentence for each that moved."""
    raw = json.loads((directory / "home" / "config.json").read_text())
    found = config.parse(raw | {"home": str(home.root)})
    settled, said = ports.settle(found, claims)
    return replace(settled, passwords=config.new_passwords() | settled.passwords), said


def _fill(directory: Path, home: Home, settings: Config, manifest: Manifest, say: Say) -> None:
    left, right, *others = clusters(home, settings)
    say("restoring every cluster and the lake")
    with ThreadPoolExecutor(2) as pool:
        written = pool.submit(oltp.restore, left, directory / "oltp", target=manifest.target)
        read = pool.submit(warehouse.restore, right, directory / "warehouse")
        written.result()
        for other in others:
            oltp.restore(other, directory / other.name, target=None)
        read.result()
    lake.restore(directory, lake_of(settings).data)
    reach("restore.after_clusters")


def _go_on(home: Home, settings: Config, manifest: Manifest, say: Say) -> list[str]:
    """New slots, and the epoch that begins with them: slots are no part of a copy, and the timeline is another."""
    say("starting the streams anew")
    said = []
    with _running(*clusters(home, settings)):
        databases = {database.name: database for database in landing.databases(settings)}
        for cut in manifest.sources:
            database = databases[cut.source]
            if cut.exact:
                _begin_epoch(cut, settings, database.dsn, database.slot)
            else:
                if settings.profile == "kafka":
                    forget_landed(settings, cut.source)
                repair_landing(database, settings.warehouse_url())
                said.append(f"{cut.source}: {cut.why}; its tables are read again once Headwater runs.")
            if settings.profile == "kafka":
                forget_dispatched(settings, cut.source)
            streaming.repair_dispatch(settings, cut.source)
    return said


def _begin_epoch(cut: SourceCut, settings: Config, dsn: str, slot: str) -> None:
    """The source ended exactly where the warehouse had landed, and nothing was written since: nothing is missing."""
    position = Position(cut.source, read_epoch(dsn, slot), create_slot(dsn, slot))
    with closing(WarehouseSink(settings.warehouse_url(), cut.source)) as sink:
        sink.open()
        sink.begin_epoch(position, "restore", None)


@contextmanager
def _running(*pair: Cluster) -> Iterator[None]:
    processes = []
    try:
        for cluster in pair:
            processes.append((cluster, cluster.start()))
        yield
    finally:
        for cluster, process in processes:
            cluster.stop()
            process.wait()


def _put_back(directory: Path, home: Home) -> None:
    for name in KEPT:
        kept = directory / "home" / name
        if name != "config.json" and kept.exists():
            shutil.copyfile(kept, home.root / name)
            os.chmod(home.root / name, 0o600)
    if (directory / "home" / "keys").is_dir():
        shutil.copytree(directory / "home" / "keys", home.root / "keys", dirs_exist_ok=True)

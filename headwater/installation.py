"""Makes or opens the installation in a home: directories, configuration, clusters, leftovers of an earlier run."""

from __future__ import annotations

import secrets
import signal
from dataclasses import replace
from pathlib import Path

from headwater import config, ports, proc
from headwater.config import Config, ConfigError, Server
from headwater.embedded.account import Account, unprivileged_account
from headwater.embedded.postgres import OLTP, WAREHOUSE, Cluster
from headwater.ports import Claims
from headwater.state import Home


def open_or_create(home: Home, claims: Claims | None = None) -> tuple[Config, list[str]]:
    """The configuration, written if absent, with ports that are free now; and sentences that a person should read.

    Nothing of this installation may run. ``claims`` keeps the ports for the calling process. Raises ConfigError if
    data stand here whose passwords are lost.
    """
    claims = Claims() if claims is None else claims
    account = unprivileged_account()
    home.create(account)
    if not home.config.exists():
        if any(home.clusters.iterdir()):
            raise ConfigError(
                f"{home.config} is gone, and with it the passwords of the data in {home.clusters.resolve()}. "
                "Put the file back, or run `headwater down --erase` to delete the data and begin anew."
            )
        created = _create(home, claims)
        created.save()
        return created, []
    found = config.read(home.root)
    settled, said = ports.settle(found, claims)
    # A newer version may know more database roles; preparing the databases gives each its password.
    settled = replace(settled, home=str(home.root), passwords=config.new_passwords() | settled.passwords)
    if settled != found:
        settled.save()
    return settled, said


def _create(home: Home, claims: Claims) -> Config:
    oltp = ports.choose(home.root, "oltp", claims)
    warehouse = ports.choose(home.root, "warehouse", claims, {oltp})
    web = ports.choose(home.root, "web", claims, {oltp, warehouse})
    return Config(
        home=str(home.root),
        oltp=Server("127.0.0.1", oltp, secrets.token_urlsafe(24)),
        warehouse=Server("127.0.0.1", warehouse, secrets.token_urlsafe(24)),
        web_port=web,
        secret_key=secrets.token_urlsafe(48),
        passwords=config.new_passwords(),
    )


def clusters(home: Home, settings: Config, account: Account | None = None) -> tuple[Cluster, Cluster]:
    """The OLTP cluster and the warehouse cluster of this installation."""
    account = account or unprivileged_account()
    place = home.clusters.resolve()
    return (
        _cluster("oltp", place, settings.oltp, OLTP, account),
        _cluster("warehouse", place, settings.warehouse, WAREHOUSE, account),
    )


def _cluster(name: str, place: Path, server: Server, settings: dict[str, str], account: Account) -> Cluster:
    return Cluster(name, place / name, server.port, server.superuser_password, settings, account)


def stop_leftovers(home: Home) -> list[str]:
    """Ends what an earlier run left behind when it was killed; says what it ended. The caller holds the run's lock.

    A killed supervisor's children get a signal from the kernel, so most are ending already and are waited for.
    """
    said = []
    workers = proc.marked(home.root)
    if workers:
        left = proc.end(workers, signal.SIGTERM, timeout=10)
        proc.end(left, signal.SIGKILL, timeout=5)
        said.append(f"Ended {len(workers)} processes that an earlier run left behind.")
    if not home.clusters.exists():
        return said
    for place in home.clusters.resolve().iterdir():
        if not place.is_dir():
            continue
        data = place / "data"
        if data.exists() and proc.working_in(data):
            said.append(f"Stopped the {place.name} cluster that an earlier run left behind.")
            _stop_postgres(data)
        # PostgreSQL refuses to start if the pid in its lock file is alive as whatever process, which after a loss of
        # power it often is. Nobody works in this directory, so the file is stale.
        (data / "postmaster.pid").unlink(missing_ok=True)
    return said


def _stop_postgres(data: Path) -> None:
    for how, timeout in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        processes = proc.working_in(data)
        postmasters = [pid for pid in processes if (found := proc.stat(pid)) and found.parent not in processes]
        proc.end(postmasters, how, timeout)
        if proc.gone(lambda: proc.working_in(data), timeout=5):  # backends of a killed postmaster end by themselves
            return

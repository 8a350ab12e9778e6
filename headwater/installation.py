"""Makes or opens the installation in a home: directories, configuration, clusters, leftovers of an earlier run."""

from __future__ import annotations

import secrets
import signal
from dataclasses import replace
from pathlib import Path

from headwater import config, ports, proc
from headwater.config import SERVICES, Config, ConfigError, Server
from headwater.embedded.account import Account, unprivileged_account
from headwater.embedded.postgres import OLTP, WAREHOUSE, Cluster
from headwater.gateway.process import binary
from headwater.kafka.profile import PORTS as KAFKA_PORTS
from headwater.ports import Claims
from headwater.state import Home

WEB, DAGSTER = 8000, 3000
"""Ports inside a container, where nobody else takes them."""


def open_or_create(home: Home, claims: Claims | None = None) -> tuple[Config, list[str]]:
    """The configuration, written if absent, with ports that are free now; and sentences that a person should read.

    Nothing of this installation may run. ``claims`` keeps the ports for the calling process. Raises ConfigError if
    data stand here whose passwords are lost.
    """
    claims = Claims() if claims is None else claims
    account = unprivileged_account()
    home.create(account)
    if home.restoring.exists():
        raise ConfigError(f"a restore into {home.root} was not finished; run `headwater restore` again.")
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
    config.check_profile(found)
    settled, said = ports.settle(found, claims)
    # A newer version may know more database roles; preparing the databases gives each its password.
    settled = replace(settled, home=str(home.root), passwords=config.new_passwords() | settled.passwords)
    if settled != found:
        settled.save()
    return settled, said


FINANCE = "oltp-finance"
"""The cluster that Finance has to itself where services stand apart: closing a month disturbs no sale."""


def _create(home: Home, claims: Claims) -> Config:
    """In the Kafka profile services stand apart: each a process with a database of its own, behind a gateway.

    Raises ConfigError where there is no nginx to be that.
    """
    apart = config.wanted_profile() == "kafka"
    if apart:
        binary()
    taken: dict[str, int] = {}

    def port(name: str) -> int:
        taken[name] = ports.choose(home.root, name, claims, set(taken.values()))
        return taken[name]

    def server(name: str) -> Server:
        return Server("127.0.0.1", port(name), secrets.token_urlsafe(24))

    return Config(
        home=str(home.root),
        gateway_port=port("gateway") if apart else 0,
        oltp=server("oltp"),
        warehouse=server("warehouse"),
        web_port=port("web"),
        dagster_port=port("dagster"),
        kafka_ports={name: port(name) for name in KAFKA_PORTS} if apart else {},
        clusters={FINANCE: server(FINANCE)} if apart else {},
        databases={name: f"{FINANCE if name == 'finance' else 'oltp'}/{name}" for name in SERVICES} if apart else {},
        service_ports={name: port(name) for name in SERVICES} if apart else {},
        secret_key=secrets.token_urlsafe(48),
        passwords=config.new_passwords(),
    )


def open_elsewhere(home: Home) -> Config:
    """The configuration of an installation whose clusters somebody else runs; made on the first call.

    Raises ConfigError if nobody does. Superusers' passwords stay in the environment; those of the roles that are made
    here stand in ``config.json``.
    """
    servers = config.elsewhere()
    if servers is None:
        raise ConfigError(f"Set {' and '.join(config.ELSEWHERE)}; without them `headwater up` does everything.")
    for directory in (home.root, home.run, home.logs):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not home.config.exists():
        oltp, warehouse = (replace(server, superuser_password="") for server in servers)
        Config(
            home=str(home.root),
            oltp=oltp,
            warehouse=warehouse,
            web_port=WEB,
            secret_key=secrets.token_urlsafe(48),
            passwords=config.new_passwords(),
            dagster_port=DAGSTER,
            kafka_brokers=config.brokers(),
        ).save()
    found = config.read(home.root)
    known = config.new_passwords() | found.passwords
    if known != found.passwords:
        replace(found, passwords=known, oltp=servers[0], warehouse=servers[1]).save()
        found = config.read(home.root)
    return found


def clusters(home: Home, settings: Config, account: Account | None = None) -> tuple[Cluster, ...]:
    """The OLTP cluster, the warehouse cluster, and those of services that have one to themselves."""
    account = account or unprivileged_account()
    place = home.clusters.resolve()
    return (
        _cluster("oltp", place, settings.oltp, OLTP, account),
        _cluster("warehouse", place, settings.warehouse, WAREHOUSE, account),
        *(_cluster(name, place, server, OLTP, account) for name, server in settings.clusters.items()),
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
        if place.name == "gateway":  # nginx clears its environment, so it carries no mark
            proc.end(proc.working_in(place), signal.SIGTERM, timeout=10)
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

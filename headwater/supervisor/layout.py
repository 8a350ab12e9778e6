"""The processes of an installation, in the order of their start, and the order in which they stop."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace

from headwater.config import SERVICES, Config
from headwater.embedded.account import unprivileged_account
from headwater.embedded.postgres import Cluster
from headwater.gateway import process as gateway
from headwater.installation import clusters
from headwater.kafka import profile
from headwater.kafka.profile import landing_workers
from headwater.proc import MARK
from headwater.state import PROJECT, Home
from headwater.supervisor.child import Spec

STOP_ORDER = (
    (gateway.NAME,),
    ("web", *SERVICES, "dagster"),
    ("jobs", "dispatch"),
    ("landing", "connectors", "refresh", "search", "lake"),
    ("connect",),
    ("broker",),
    ("warehouse", "oltp"),
)
"""Kinds of processes. Nobody may write any more, then what was written is carried on as far as it goes, then the
databases. Those that stand together stop at the same time.
"""


def environment(home: Home) -> dict[str, str]:
    """What every process of the installation gets: this process's environment, the home, and the mark."""
    own = dict(os.environ) | {"HEADWATER_HOME": str(home.root), MARK: str(home.root), "PYTHONUNBUFFERED": "1"}
    # glibc gives every thread an arena of its own; two keep the resident size of threaded Python small.
    own.setdefault("MALLOC_ARENA_MAX", "2")
    return own


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "headwater", *arguments]


def worker(home: Home, name: str, *arguments: str, port: int | None = None) -> Spec:
    return Spec(
        name=name,
        argv=command(*(arguments or ("work", name))),
        log=home.log(name),
        environment=environment(home),
        directory=PROJECT,
        port=port,
    )


def postgres(home: Home, cluster: Cluster) -> Spec:
    return Spec(
        name=cluster.name,
        argv=cluster.command(),
        log=home.log(cluster.name),
        environment={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        directory=cluster.root,
        stop_signal=signal.SIGINT,
        stop_timeout=60.0,
        account=cluster.account,
        port=cluster.port,
        home_of_data=cluster.data,
    )


def databases(home: Home, config: Config) -> list[Spec]:
    return [postgres(home, cluster) for cluster in clusters(home, config, unprivileged_account())]


def kafka(home: Home, config: Config) -> list[Spec]:
    """Broker first; none in the embedded profile. Makes their files. Raises KafkaError where jars or Java lack."""
    if not config.kafka_ports:
        return []
    marked = {MARK: str(home.root)}
    profile.write_secrets(home, config)
    broker, connect = profile.broker(home, config), profile.workers(home, config)
    broker.prepare()
    for one in connect:
        one.prepare()
    return [
        program.spec(home.log(name), marked) for name, program in (("broker", broker), *((w.name, w) for w in connect))
    ]


def servers(home: Home, config: Config) -> list[Spec]:
    """Who answers over HTTP: one process for everything, or the pages, each service, and the gateway in front.

    Raises GatewayError where there is no nginx for that.
    """
    own = environment(home)
    if not config.service_ports:
        return [worker(home, "web", "serve", "--port", str(config.web_port), port=config.web_port)]
    own["HEADWATER_BIND"] = "127.0.0.1"  # the gateway listens for others
    ports = {"web": config.web_port, **config.service_ports}
    apart = [worker(home, name, "serve", name, "--port", str(port), port=port) for name, port in ports.items()]
    return [*(replace(spec, environment=own) for spec in apart), gateway.spec(home, config)]


def workers(home: Home, config: Config) -> list[Spec]:
    """Whatever works in the background and needs the databases, but not the marts."""
    jobs = [f"jobs-{service}" for service in config.service_ports] or ["jobs"]
    connectors = ["connectors"] if config.kafka_ports else []
    names = [*landing_workers(config), "dispatch", *jobs, "search", "lake", *connectors]
    return [worker(home, name) for name in names]


def dagster(home: Home, config: Config) -> Spec | None:
    """Starts after everybody else, because nobody waits for it; None where ``HEADWATER_DAGSTER=off`` leaves it out."""
    if os.environ.get("HEADWATER_DAGSTER") == "off":
        return None
    spec = worker(home, "dagster", port=config.dagster_port)
    return replace(spec, argv=[sys.executable, "-m", "headwater.dagster"], stop_timeout=30.0)


def refresh(home: Home) -> Spec:
    """Starts when the marts stand."""
    return worker(home, "refresh")

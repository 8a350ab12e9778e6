"""The processes of an installation, in the order of their start, and the order in which they stop."""

from __future__ import annotations

import os
import signal
import sys

from headwater.config import Config
from headwater.embedded.account import unprivileged_account
from headwater.embedded.postgres import Cluster
from headwater.installation import clusters
from headwater.proc import MARK
from headwater.state import PROJECT, Home
from headwater.supervisor.child import Spec

STOP_ORDER = (("web",), ("jobs", "dispatch"), ("landing", "refresh"), ("warehouse", "oltp"))
"""Nobody may write any more, then what was written is carried on as far as it goes, then the databases.

Those that stand together stop at the same time.
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


def workers(home: Home, config: Config) -> list[Spec]:
    """Whatever needs the databases and not the marts."""
    web = worker(home, "web", "serve", "--port", str(config.web_port), port=config.web_port)
    return [web, *(worker(home, name) for name in ("landing", "dispatch", "jobs"))]


def refresh(home: Home) -> Spec:
    """Starts when the marts stand."""
    return worker(home, "refresh")

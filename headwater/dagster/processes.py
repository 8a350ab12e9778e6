"""Imports everything once, forks Dagster's three processes from that, and turns into the keeper that watches them.

Forked processes share the memory of what was imported. A part that dies is started by the keeper as a process of its
own, which shares nothing until the whole is started anew.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from headwater import config
from headwater.config import Config
from headwater.dagster import instance
from headwater.state import Home, read_json, write_json
from headwater.supervisor.child import die_with_parent

PARTS = ("code", "webserver", "daemon")
KEEPER = Path(__file__).with_name("keeper.py")
NICE = 10
"""Whatever Dagster does can wait for what a person or the stream does."""

CODE_TIMEOUT = 60.0
"""Seconds that webserver and daemon wait for the code server before they begin without it."""


def start() -> NoReturn:
    """The whole of Dagster, for ever. Raises what its storage raises if that is away: the supervisor tries again."""
    directory = _enter()
    _import_everything()
    _bring_storage_up_to_date(directory)
    (directory / instance.SOCKET).unlink(missing_ok=True)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every page that it shares
    pids = {name: _fork(name) for name in PARTS}
    home = Home(config.home())
    arguments = {
        "pids": pids,
        "command": [sys.executable, "-m", "headwater.dagster"],
        "heartbeat": str(home.heartbeat("dagster")),
        "socket": str(directory / instance.SOCKET),
    }
    os.execv(sys.executable, [sys.executable, "-I", "-S", str(KEEPER), json.dumps(arguments)])


def become(name: str) -> NoReturn:
    """One part in this process, as the keeper starts it again."""
    die_with_parent(signal.SIGTERM, os.getppid())()
    _enter()
    _play(name)


def _enter() -> Path:
    """This process in the instance's directory, with its environment, and with a lower priority than the rest."""
    os.nice(max(0, NICE - os.nice(0)))
    home = Home(config.home())
    directory = instance.prepare(home, config.current())
    instance.environment(directory)
    sys.path.insert(0, os.getcwd())
    os.chdir(directory)
    return directory


def _import_everything() -> None:
    import uvicorn.protocols.http.auto
    import uvicorn.protocols.websockets.auto  # noqa: F401

    from headwater.dagster.location import defs

    defs.get_repository_def().load_all_definitions()


def _bring_storage_up_to_date(directory: Path) -> None:
    """Makes the tables of the storage before three processes would, and alters them once for each new version."""
    import dagster
    from dagster import DagsterInstance

    stamp = directory / "storage.json"
    with DagsterInstance.from_config(str(directory)) as storage:
        if read_json(stamp).get("dagster") != dagster.__version__:
            storage.upgrade()
            storage.reindex()
            write_json(stamp, {"dagster": dagster.__version__})


def _fork(name: str) -> int:
    ready = die_with_parent(signal.SIGTERM)
    pid = os.fork()
    if pid == 0:
        try:
            ready()
            _play(name)
        except BaseException:
            import traceback

            traceback.print_exc()
        os._exit(1)
    return pid


def _play(name: str) -> NoReturn:
    """Runs the part in a process group of its own, which its descendants (runs, builds) share."""
    os.setpgid(0, 0)
    if name != "code":
        _await_code()
    _commands(config.current())[name]()
    sys.stdout.flush()
    os._exit(0)


def _commands(settings: Config) -> dict[str, Callable[[], Any]]:
    def code() -> None:
        from dagster._cli.api import grpc_command

        grpc_command.main(
            [
                *("--socket", instance.SOCKET, "--max-workers", "8"),
                *("--module-name", "headwater.dagster.location", "--attribute", "defs"),
                *("--location-name", instance.LOCATION, "--log-level", "warning", "--log-format", "json"),
            ],
            standalone_mode=False,
        )

    def webserver() -> None:
        from dagster_webserver.cli import cli

        cli.main(
            [
                *("--host", os.environ.get("HEADWATER_BIND", "127.0.0.1"), "--port", str(settings.dagster_port)),
                *("--workspace", "workspace.yaml"),
                *("--dagster-log-level", "warning", "--log-format", "json"),
                # Nobody looks at the lineage for its milliseconds; each look is a query for every asset shown.
                *("--live-data-poll-rate", "5000"),
            ],
            standalone_mode=False,
        )

    def daemon() -> None:
        from dagster._daemon.cli import run_command

        run_command.main(
            ["--workspace", "workspace.yaml", "--log-level", "warning", "--log-format", "json"], standalone_mode=False
        )

    return {"code": code, "webserver": webserver, "daemon": daemon}


def _await_code() -> None:
    deadline = time.monotonic() + CODE_TIMEOUT
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(instance.SOCKET)
            except OSError:
                time.sleep(0.1)
                continue
            return

"""Dagster's instance in ``<home>/dagster``: its configuration, its workspace, and the environment of its processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headwater.config import Config
from headwater.state import Home

SOCKET = "code.sock"
"""Where the code server listens, relative to the instance's directory: a path of a socket may have 107 characters only.
A socket, because whoever reaches a code server can run code as this user; the directory admits nobody else."""

LOCATION = "headwater"

RUNS_AT_ONCE = 2
"""A run is a process of its own of some 150 MB; builds wait for each other anyway."""

TICK_DAYS = 7
"""How long the evaluations of schedules and sensors are kept; runs and events: ``pipelines.defs.retention``."""


def prepare(home: Home, config: Config) -> Path:
    """Writes the instance's files anew (ports and passwords may have changed) and returns its directory."""
    directory = home.dagster
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    _write(directory / "dagster.yaml", settings(config))
    _write(
        directory / "workspace.yaml", {"load_from": [{"grpc_server": {"socket": SOCKET, "location_name": LOCATION}}]}
    )
    return directory


def settings(config: Config) -> dict[str, Any]:
    """The content of dagster.yaml. Nothing is sent to anybody: no telemetry, no prompt for an address."""
    url = urlsplit(config.dagster_url())
    return {
        "storage": {
            "postgres": {
                "postgres_db": {
                    "username": url.username,
                    "password": config.passwords["wh_dagster"],
                    "hostname": url.hostname,
                    "port": url.port,
                    "db_name": url.path.strip("/"),
                    "params": {"connect_timeout": "5", "application_name": "headwater dagster"},
                }
            }
        },
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"max_concurrent_runs": RUNS_AT_ONCE, "dequeue_interval_seconds": 5},
        },
        "run_launcher": {"module": "headwater.dagster.launcher", "class": "SupervisedRunLauncher"},
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 15,
            "start_timeout_seconds": 180,
            "cancel_timeout_seconds": 60,
            "max_resume_run_attempts": 0,
        },
        # Whatever a run prints goes to this installation's log; events and their metadata are in the database.
        "compute_logs": {"module": "dagster.core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(Path(config.home) / "dagster")},
        },
        "retention": {name: {"purge_after_days": TICK_DAYS} for name in ("schedule", "sensor", "auto_materialize")},
        "auto_materialize": {"enabled": False, "use_sensors": False},
        "freshness": {"enabled": False},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def environment(directory: Path) -> None:
    """Sets what each of Dagster's processes must find in its environment, before anything of Dagster is imported."""
    os.environ["DAGSTER_HOME"] = str(directory)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    os.environ["DAGSTER_WEBSERVER_SUPPRESS_WARNINGS"] = "1"
    # gRPC's C core is imported before the fork and used after it only; its own handlers of forks would wait for threads
    # that are not there.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


def _write(path: Path, content: dict[str, Any]) -> None:
    """As JSON, which is YAML too."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)

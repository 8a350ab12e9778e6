"""Runs dbt as a child process: builds the models, and compiles the SQL that the hot lane runs.

A child process, because dbt keeps some 130 MB once imported and a resident worker should not.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

PROJECT = Path(__file__).parent / "dbt"
_LOCK = 0x68775F646274  # "hw_dbt": one build of a warehouse at a time
_BAD = frozenset({"error", "fail", "runtime error", "partial success"})


class DbtError(Exception):
    """dbt refused or failed; the message names each model or test with the database's words."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """How many nodes ended in which state (``success``, ``pass``, ``warn``, ``skipped``) and the warnings' words."""

    states: dict[str, int]
    warnings: tuple[str, ...]


def build(
    dsn: str, *, tests: bool = True, select: Sequence[str] = (), target: Path | None = None, project: Path = PROJECT
) -> BuildReport:
    """Rebuilds every model, or those that ``select`` names (dbt's selection syntax), beside a running hot lane.

    ``dsn`` connects as the warehouse's owner. ``tests`` runs unit and data tests too. ``target`` keeps what dbt parsed
    and compiled, so that the next run parses only what changed. A second build of the same warehouse waits for the
    first. Raises DbtError; models built before the failing one stay.
    """
    arguments = ["build" if tests else "run"]
    if select:
        arguments += ["--select", *select]
    with _folder(target) as folder, psycopg.connect(dsn, autocommit=True) as lock:
        lock.execute("select pg_advisory_lock(%s)", [_LOCK])
        _dbt(arguments, folder, project, _connection(dsn))
        return _report(folder)


def compile_hot(target: Path, project: Path = PROJECT) -> Path:
    """Compiles every model with the marks of ``hot_keys()`` left in; returns the manifest's path. Needs no database.

    Does nothing where the last compile into ``target`` saw the same project, because dbt takes seconds to start.
    """
    manifest, stamp = target / "manifest.json", target / "compiled_from"
    digest = _digest(project)
    if manifest.exists() and stamp.exists() and stamp.read_text() == digest:
        return manifest
    stamp.unlink(missing_ok=True)
    variables = json.dumps({"hot_lane": True})
    _dbt(["compile", "--no-introspect", "--no-populate-cache", "--vars", variables], target, project, {})
    stamp.write_text(digest)
    return manifest


def _digest(project: Path) -> str:
    """One hash over every file that dbt reads, and over dbt's own version."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in sorted(p for p in project.rglob("*") if p.suffix in {".sql", ".yml", ".md"}):
        if project / "target" not in path.parents:
            digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _dbt(arguments: Sequence[str], target: Path, project: Path, environment: dict[str, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for stale in ("manifest.json", "run_results.json"):
        (target / stale).unlink(missing_ok=True)
    command = [
        str(Path(sys.executable).with_name("dbt")),
        *("--log-level-file", "none", "--log-format", "text", "--no-use-colors", "--quiet"),
        *arguments,
        *("--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)),
        *("--log-path", str(target)),
    ]
    done = subprocess.run(
        command,
        cwd=project,
        env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise DbtError(f"dbt {arguments[0]} failed:\n" + ("\n".join(_failures(target)) or done.stdout + done.stderr))


def _connection(dsn: str) -> dict[str, str]:
    parts = conninfo_to_dict(dsn)
    return {
        f"HEADWATER_DBT_{name.upper()}": str(parts[name])
        for name in ("host", "port", "user", "password", "dbname")
        if parts.get(name) is not None
    }


@contextmanager
def _folder(target: Path | None) -> Iterator[Path]:
    if target is not None:
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="headwater-dbt-") as folder:
        yield Path(folder)


def _results(target: Path) -> list[dict[str, Any]]:
    try:
        results: list[dict[str, Any]] = json.loads((target / "run_results.json").read_text())["results"]
    except FileNotFoundError:
        return []
    return results


def _failures(target: Path) -> list[str]:
    return [f"{r['unique_id']}: {r['message']}" for r in _results(target) if r["status"] in _BAD]


def _report(target: Path) -> BuildReport:
    results = _results(target)
    return BuildReport(
        states=dict(Counter(r["status"] for r in results)),
        warnings=tuple(f"{r['unique_id']}: {r['message']}" for r in results if r["status"] == "warn"),
    )

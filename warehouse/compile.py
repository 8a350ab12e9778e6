"""Runs dbt as a child process: builds the models, and compiles the SQL that the hot lane runs.

A child process, because dbt keeps some 130 MB once imported and a resident worker should not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

PROJECT = Path(__file__).parent / "dbt"
_PROGRAM = Path(__file__).with_name("gated_dbt.py")
_LOCK = 0x68775F646274  # "hw_dbt": one build of a warehouse at a time
_ATTEMPTS = 3
_BAD = frozenset({"error", "fail", "runtime error", "partial success"})


class DbtError(Exception):
    """dbt refused or failed; the message names each model or test with the database's words."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """How many nodes ended in which state (``success``, ``pass``, ``warn``, ``skipped``) and the warnings' words."""

    states: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How one model or test ended: ``status`` as in BuildReport, ``failures`` counts the rows that a test found.

    ``skipped``: something that it is built on could not be built or failed a test, so it was left as it stands.

    ``rows`` are those of a table that was built; None for views and tests.
    """

    node: str
    status: str
    message: str
    failures: int
    seconds: float
    rows: int | None

    @property
    def is_bad(self) -> bool:
        return self.status in _BAD

    @property
    def is_skipped(self) -> bool:
        return self.status == "skipped"


Listener = Callable[[NodeResult], None]


def build(
    dsn: str,
    *,
    tests: bool = True,
    select: Sequence[str] = (),
    only: bool = False,
    target: Path | None = None,
    project: Path = PROJECT,
    listener: Listener | None = None,
) -> BuildReport:
    """Rebuilds every model, or those that ``select`` names (dbt's selection syntax), beside a running hot lane.

    ``dsn`` connects as the warehouse's owner. ``tests`` runs unit and data tests too: of a selection those that read
    any of its models, or with ``only`` those that it names. ``target`` keeps what dbt parsed and compiled, so that the
    next run parses only what changed. A second build of the same warehouse waits for the first. ``listener`` is told
    of each model and test as it ends.

    Raises DbtError where a model cannot be built or a test fails that does not merely warn. What is built on such a
    model is left as it stands; everything else is built.
    """
    arguments = ["build" if tests else "run"]
    if select:
        arguments += ["--select", *select, *(("--indirect-selection", "empty") if only else ())]
    with _folder(target) as folder, psycopg.connect(dsn, autocommit=True) as lock:
        lock.execute("select pg_advisory_lock(%s)", [_LOCK])
        for attempt in range(_ATTEMPTS):
            try:
                _dbt(arguments, folder, project, _connection(dsn), listener)
                break
            except DbtError as error:
                # Landing writes the mirrors that a build secures and indexes: PostgreSQL may end either of the two.
                if "deadlock detected" not in str(error) or attempt == _ATTEMPTS - 1:
                    raise
        return _report(folder)


@contextmanager
def no_build(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Inside, no build replaces a table: for whoever reads marts for minutes. Waits for the build under way."""
    connection.execute("select pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        connection.execute("select pg_advisory_unlock(%s)", [_LOCK])


def compile_hot(target: Path, project: Path = PROJECT) -> Path:
    """Compiles every model with the marks of ``hot_keys()`` left in; returns the manifest's path. Needs no database.

    Does nothing where the last compile into ``target`` saw the same project, because dbt takes seconds to start.
    """
    manifest, stamp = target / "manifest.json", target / "compiled_from"
    digest = _digest(project)
    target.mkdir(parents=True, exist_ok=True)
    with (target / "compiling").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes that start at once: the second finds what the first compiled
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


def _dbt(
    arguments: Sequence[str],
    target: Path,
    project: Path,
    environment: dict[str, str],
    listener: Listener | None = None,
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for stale in ("manifest.json", "run_results.json"):
        (target / stale).unlink(missing_ok=True)
    command = [
        # By its path and without its folder on the module path: the project beside it is called dbt too.
        *(sys.executable, "-P", str(_PROGRAM)),
        *("--log-level-file", "none", "--no-use-colors"),
        *(
            ("--log-format", "text", "--quiet")
            if listener is None
            else ("--log-format", "json", "--log-level", "debug")
        ),
        *arguments,
        *("--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)),
        *("--log-path", str(target)),
    ]
    with subprocess.Popen(
        command,
        cwd=project,
        env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as dbt:
        assert dbt.stdout is not None
        try:
            said = dbt.stdout.read() if listener is None else _follow(dbt.stdout, listener)
        except BaseException:
            dbt.terminate()
            raise
    if dbt.returncode:
        raise DbtError(f"dbt {arguments[0]} failed:\n" + ("\n".join(_failures(target)) or said))


def _follow(lines: Iterable[str], listener: Listener) -> str:
    """Tells the listener of each node that ended, from dbt's events; returns what it said of errors."""
    said = []
    for line in lines:
        try:
            event = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, KeyError, TypeError):
            said.append(line)
            continue
        if info["name"] == "NodeFinished":
            listener(_result(data))
        elif info["level"] == "error":
            said.append(f"{info['msg']}\n")
    return "".join(said)


def _result(data: dict[str, Any]) -> NodeResult:
    node, result = data["node_info"], data["run_result"]
    counted = node["materialized"] in ("table", "incremental") and "rows_affected" in result["adapter_response"]
    return NodeResult(
        node=node["unique_id"],
        status=result["status"],
        message=result["message"],
        failures=int(result["num_failures"]),
        seconds=float(result["execution_time"]),
        rows=int(result["adapter_response"]["rows_affected"]) if counted else None,
    )


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
    results = _results(target)
    failed = [f"{r['unique_id']}: {r['message']}" for r in results if r["status"] in _BAD]
    kept = [r["unique_id"] for r in results if r["status"] == "skipped" and r["unique_id"].startswith("model.")]
    if kept:
        failed.append(f"left as they stand, being built on that: {', '.join(kept)}")
    return failed


def _report(target: Path) -> BuildReport:
    results = _results(target)
    return BuildReport(
        states=dict(Counter(r["status"] for r in results)),
        warnings=tuple(f"{r['unique_id']}: {r['message']}" for r in results if r["status"] == "warn"),
    )

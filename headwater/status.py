"""What runs, what it takes, and how far every reader is behind: one dictionary for people and for scripts.

The shape of ``collect`` is a promise to scripts; ``tests/headwater/test_status.py`` holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from headwater import config, proc
from headwater.config import Config, ConfigError
from headwater.state import Home, read_json
from headwater.supervisor.lock import Lock

TIMEOUT = "connect_timeout=3&options=-c%20statement_timeout%3D5000"

SLOTS = """
select slot_name as slot, database, active, wal_status,
       pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint as lag_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint as retained_bytes
from pg_replication_slots
where slot_type = 'logical'
order by slot_name
"""
LANDING = """
select source, p.lsn::text as lsn, p.committed_at::text as committed_at, s.state, s.error,
       extract(epoch from now() - p.updated_at)::float8 as stored_seconds_ago
from log.position p full join log.source_state s using (source)
order by source
"""
QUEUES = """
select c.name as consumer, count(q.batch_id)::bigint as pending,
       coalesce(extract(epoch from now() - min(b.landed_at)), 0)::float8 as oldest_seconds
from log.consumer c
left join log.queue q on q.consumer = c.name
left join log.batch b using (batch_id)
group by c.name
order by c.name
"""
PARKED_CHANGES = "select count(*)::bigint from log.parked"
PARKED_KEYS = "select count(*)::bigint from ops.parked_key"
DELIVERIES = """
select consumer, pending, parked, retrying, behind, lag_seconds
from stream.status
order by consumer
"""
MALFORMED = "select count(*)::bigint from stream.malformed"


def collect(home: Home) -> dict[str, Any]:
    """The state of the installation in ``home``. A database that does not answer is an entry in ``problems``."""
    state = read_json(home.supervisor)
    holder = Lock(home.run).holder()
    if holder is None and state.get("state") != "failed":
        state = {"state": "stopped"}
    problems: list[str] = []
    try:
        settings = config.read(home.root)
    except ConfigError as error:
        settings = None
        problems.append(str(error))
    processes = _processes(home, state, holder) if holder else []
    report: dict[str, Any] = {
        "home": str(home.root),
        "state": state["state"],
        "stage": state.get("stage", ""),
        "ports": {
            "web": settings and settings.web_port,
            "oltp": settings and settings.oltp.port,
            "warehouse": settings and settings.warehouse.port,
        },
        "memory_bytes": sum(process["memory_bytes"] or 0 for process in processes),
        "processes": processes,
        "sources": [],
        "sinks": [],
        "deliveries": [],
        "parked": {"changes": None, "keys": None, "events": None, "malformed": None},
        "problems": problems,
    }
    if holder and settings:
        for look in (_sources, _warehouse, _deliveries):
            _try(look, settings, report)
    return report


def _try(look: Callable[[Config, dict[str, Any]], None], settings: Config, report: dict[str, Any]) -> None:
    try:
        look(settings, report)
    except psycopg.Error as error:
        report["problems"].append(f"{look.__name__.strip('_')}: {str(error).strip().splitlines()[0]}")


def _processes(home: Home, state: dict[str, Any], holder: int) -> list[dict[str, Any]]:
    """One entry per supervised process, descendants counted in; the supervisor's own first."""
    own = {"pid": holder, "state": "running", "port": None, "restarts": 0, "since": None, "last_exit": ""}
    entries = []
    for name, child in {"supervisor": own, **state.get("processes", {})}.items():
        members = [] if child["pid"] is None else proc.tree(child["pid"])
        if name == "supervisor":
            members = [member for member in members if member.pid == holder]
        heartbeat = read_json(home.heartbeat(name)) if name != "supervisor" else {}
        entries.append(
            {
                "name": name,
                "pid": child["pid"],
                "state": child["state"],
                "port": child["port"],
                "processes": len(members),
                "memory_bytes": sum(proc.pss(member.pid) or 0 for member in members),
                "cpu_seconds": round(sum(_cpu(member, name) for member in members), 2),
                "uptime_seconds": None if child["pid"] is None else round(proc.uptime(child["pid"]) or 0.0, 1),
                "restarts": child["restarts"],
                "last_exit": child["last_exit"],
                "heartbeat": heartbeat if heartbeat.get("pid") in {member.pid for member in members} else None,
            }
        )
    return entries


def _cpu(process: proc.Stat, name: str) -> float:
    """A server's backends come and go, and what they used was its work; what ends under the supervisor was not."""
    return process.cpu if name == "supervisor" else process.cpu + process.cpu_of_ended


def _sources(settings: Config, report: dict[str, Any]) -> None:
    """Replication slots of every cluster that holds a source: how much WAL each reader has yet to confirm."""
    seen = set()
    for source, services in settings.source_databases().items():
        url = settings.service_url(services[0], role="postgres")
        with psycopg.connect(f"{url}?{TIMEOUT}", row_factory=dict_row) as connection:
            for row in connection.execute(SLOTS):
                if row["database"] == connection.info.dbname and (source, row["slot"]) not in seen:
                    seen.add((source, row["slot"]))
                    report["sources"].append({"source": source} | row)


def _warehouse(settings: Config, report: dict[str, Any]) -> None:
    lag = {row["source"]: row["lag_bytes"] for row in report["sources"] if str(row["slot"]).startswith("hw_landing")}
    with psycopg.connect(f"{settings.warehouse_url()}?{TIMEOUT}", row_factory=dict_row) as connection:
        for row in connection.execute(LANDING):
            ago = row.pop("stored_seconds_ago")
            # At most so far behind: without unread WAL the mirror is current, however long ago the last change was;
            # with some that holds nothing for us, an idle reader's position is stored every ten seconds.
            behind = 0.0 if not lag.get(row["source"]) else ago
            report["sinks"].append({"sink": "landing", **row, "lag_seconds": behind})
        for row in connection.execute(QUEUES):
            report["sinks"].append({"sink": row.pop("consumer"), **row})
        counted = connection.execute(PARKED_CHANGES).fetchone()
        report["parked"]["changes"] = counted and counted["count"]
        counted = connection.execute(PARKED_KEYS).fetchone()
        report["parked"]["keys"] = counted and counted["count"]


def _deliveries(settings: Config, report: dict[str, Any]) -> None:
    with psycopg.connect(f"{settings.stream_url('postgres')}?{TIMEOUT}", row_factory=dict_row) as connection:
        report["deliveries"] = connection.execute(DELIVERIES).fetchall()
        report["parked"]["events"] = sum(row["parked"] for row in report["deliveries"])
        counted = connection.execute(MALFORMED).fetchone()
        report["parked"]["malformed"] = counted and counted["count"]


def age(seconds: float | None) -> str:
    """A duration for people: ``3 s``, ``4 min``, ``2.5 h``, ``3 d``."""
    if seconds is None:
        return "–"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(count: int | None) -> str:
    """A number of bytes for people."""
    if count is None:
        return "–"
    for factor, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"

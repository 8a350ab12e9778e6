"""What runs, what it takes, and how far every reader is behind: one dictionary for people and for scripts.

The shape of ``collect`` is a promise to scripts; ``tests/headwater/test_status.py`` holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cdc.errors import StreamError
from headwater import config, proc
from headwater.config import Config, ConfigError
from headwater.migration.state import pending
from headwater.splitting.state import half_done
from headwater.state import Home, read_json
from headwater.supervisor.lock import Lock

TIMEOUT = "connect_timeout=3&options=-c%20statement_timeout%3D5000"

SILENT = 60.0
"""Seconds without a heartbeat after which a worker counts as hung, or gone."""

SLOTS = """
select slot_name as slot, database, active, wal_status,
       pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint as lag_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint as retained_bytes
from pg_replication_slots
where slot_type = 'logical'
order by slot_name
"""
LANDING = """
select source, greatest(p.lsn, k.lsn)::text as lsn, greatest(p.committed_at, k.committed_at)::text as committed_at,
       s.state, s.error, s.schema_changes,
       extract(epoch from now() - p.updated_at)::float8 as stored_seconds_ago
from log.position p
full join log.source_state s using (source)
left join (
  select source, max(lsn) as lsn, max(committed_at) as committed_at
  from log.kafka_partition
  group by source
) k using (source)
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
PARKED_RECORDS = "select count(*)::bigint from {}.kafka_parked"
DELIVERIES = """
select consumer, pending, parked, retrying, behind, lag_seconds
from stream.status
order by consumer
"""
MALFORMED = "select count(*)::bigint from stream.malformed"


def collect(home: Home) -> dict[str, Any]:
    """The state of the installation in ``home``. A database that does not answer, and Kafka, is an entry in
    ``problems``; None is what nobody knows then."""
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
    apart = holder is None and config.elsewhere() is not None
    processes = _processes(home, state, holder) if holder else _beating(home) if apart else []
    if processes and apart:
        state = {"state": "running"}
    report: dict[str, Any] = {
        "home": str(home.root),
        "state": state["state"],
        "stage": state.get("stage", ""),
        "ports": {
            "web": settings and settings.public_port,
            "oltp": settings and settings.oltp.port,
            "warehouse": settings and settings.warehouse.port,
            "dagster": settings and settings.dagster_port,
        },
        "links": {"dagster": f"http://127.0.0.1:{settings.dagster_port}" if settings and _runs(state) else None},
        "memory_bytes": sum(process["memory_bytes"] or 0 for process in processes),
        "processes": processes,
        "sources": [],
        "sinks": [],
        "deliveries": [],
        "search": None,
        "parked": {"changes": None, "records": None, "keys": None, "events": None, "malformed": None},
        "splits": [{"service": s.service, "to": s.place, "step": s.step} for s in half_done(home)],
        "migration": str(move) if (move := pending(home)) is not None else None,
        "problems": problems,
    }
    if (holder or apart) and settings:
        for look in (_sources, _warehouse, _search, _deliveries):
            _try(look, settings, report)
    return report


def _runs(state: dict[str, Any]) -> bool:
    return bool(state.get("processes", {}).get("dagster", {}).get("pid"))


def _try(look: Callable[[Config, dict[str, Any]], None], settings: Config, report: dict[str, Any]) -> None:
    try:
        look(settings, report)
    except (psycopg.Error, StreamError) as error:
        report["problems"].append(f"{look.__name__.strip('_')}: {str(error).strip().splitlines()[0]}")


def _processes(home: Home, state: dict[str, Any], holder: int) -> list[dict[str, Any]]:
    """One entry per supervised process, descendants counted in; the supervisor's own first."""
    own = {"pid": holder, "state": "running", "port": None, "restarts": 0, "last_exit": "", "last_end": None}
    entries = []
    everybody = proc.everybody()  # once: 40 ms for some hundred processes
    for name, child in {"supervisor": own, **state.get("processes", {})}.items():
        members = [] if child["pid"] is None else proc.tree(child["pid"], everybody)
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
                "last_end": child.get("last_end"),
                "since": child.get("since"),
                "heartbeat": heartbeat if heartbeat.get("pid") in {member.pid for member in members} else None,
            }
        )
    return entries


def _beating(home: Home) -> list[dict[str, Any]]:
    """One entry per worker that beats, where each runs in a container of its own and only its heartbeat is seen."""
    entries = []
    for path in sorted(home.run.glob("*.json")):
        heartbeat = read_json(path)
        if "beat_at" in heartbeat and time.time() - path.stat().st_mtime < SILENT:
            unknown = dict.fromkeys(("port", "memory_bytes", "cpu_seconds", "uptime_seconds", "restarts", "last_end"))
            own = {"name": path.stem, "pid": heartbeat["pid"], "state": "running", "processes": 1, "last_exit": ""}
            entries.append(unknown | own | {"since": heartbeat["since"], "heartbeat": heartbeat})
    return entries


def _cpu(process: proc.Stat, name: str) -> float:
    """A server's backends come and go, and what they used was its work; what ends under the supervisor was not."""
    return process.cpu if name == "supervisor" else process.cpu + process.cpu_of_ended


def _sources(settings: Config, report: dict[str, Any]) -> None:
    """Replication slots of every cluster that holds a source: how much WAL each reader has yet to confirm."""
    seen = set()
    for source, services in settings.source_databases().items():
        url = settings.service_url(services[0], role="postgres")
        try:
            with psycopg.connect(f"{url}?{TIMEOUT}", row_factory=dict_row) as connection:
                for row in connection.execute(SLOTS):
                    if row["database"] == connection.info.dbname and (source, row["slot"]) not in seen:
                        seen.add((source, row["slot"]))
                        report["sources"].append({"source": source} | row)
        except psycopg.Error as error:  # one cluster that is down hides no other
            report["problems"].append(f"source {source}: {str(error).strip().splitlines()[0]}")


def _warehouse(settings: Config, report: dict[str, Any]) -> None:
    try:
        unread = _unread(settings, report)
    except StreamError as error:  # Kafka that is away hides nothing of what the warehouse knows
        report["problems"].append(f"unread records: {str(error).splitlines()[0]}")
        unread = {}
    with psycopg.connect(f"{settings.warehouse_url()}?{TIMEOUT}", row_factory=dict_row) as connection:
        for row in connection.execute(LANDING):
            ago = row.pop("stored_seconds_ago")
            # At most so far behind: without unread WAL the mirror is current, however long ago the last change was;
            # with some that holds nothing for us, an idle reader's position is stored every ten seconds. Over Kafka the
            # position is that of the partition that is furthest behind, which is why the others' do not count here.
            left = unread.get(row["source"])
            behind = None if left is None else ago if left else 0.0
            report["sinks"].append({"sink": "landing", **row, "lag_seconds": behind})
        for row in connection.execute(QUEUES):
            report["sinks"].append({"sink": row.pop("consumer"), **row})
        counted = connection.execute(PARKED_CHANGES).fetchone()
        report["parked"]["changes"] = counted and counted["count"]
        counted = connection.execute(PARKED_RECORDS.format("log").encode()).fetchone()
        report["parked"]["records"] = counted and counted["count"]
        counted = connection.execute(PARKED_KEYS).fetchone()
        report["parked"]["keys"] = counted and counted["count"]


def _unread(settings: Config, report: dict[str, Any]) -> dict[str, int]:
    """Source → what landing has yet to read: bytes of its slot, or records of its topics, where a connector has it."""
    if settings.profile == "kafka":
        from headwater.landing import unread_records

        return unread_records(settings)
    return {row["source"]: row["lag_bytes"] for row in report["sources"] if str(row["slot"]).startswith("hw_landing")}


def _search(settings: Config, report: dict[str, Any]) -> None:
    """The search engine and its indexes; a silent engine is an entry in ``problems`` too."""
    from headwater.searching import place
    from search.state import describe

    with psycopg.connect(f"{settings.warehouse_url()}?{TIMEOUT}", autocommit=True) as connection:
        report["search"] = describe(connection, place(settings))
    if report["search"]["problem"]:
        report["problems"].append(f"search: {report['search']['problem']}")


def _deliveries(settings: Config, report: dict[str, Any]) -> None:
    with psycopg.connect(f"{settings.stream_url('postgres')}?{TIMEOUT}", row_factory=dict_row) as connection:
        report["deliveries"] = connection.execute(DELIVERIES).fetchall()
        report["parked"]["events"] = sum(row["parked"] for row in report["deliveries"])
        counted = connection.execute(MALFORMED).fetchone()
        report["parked"]["malformed"] = counted and counted["count"]
        counted = connection.execute(PARKED_RECORDS.format("stream").encode()).fetchone()
        if counted and report["parked"]["records"] is not None:
            report["parked"]["records"] += counted["count"]


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

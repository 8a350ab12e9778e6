"""What operators see on the Stream page, read where it stands: the supervisor's state, both clusters, parked work.

Operators look every two seconds, several at once: what is dear to find out (memory of each process) is remembered for
some seconds, and every question to a database has a time-out.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from bi.warehouse import WarehouseUnavailable
from headwater import config, landing
from headwater.config import Config
from headwater.state import Home
from headwater.status import TIMEOUT, collect
from pipelines.landing.kafka.replay import ParkedRecord, list_records, replay_records
from pipelines.landing.replay import list_parked, replay_parked
from web.stream.port import Change, Parked, Process, Queue, Source, State, Tick

AnswerT = TypeVar("AnswerT")
STATE_SECONDS = 4.0
"""How long processes and queues are remembered: looking costs 150 to 200 ms, most of it memory per process."""
STALE_SECONDS = 20.0
PASSING_SECONDS = 1.0
TICK = 10
TICKS = 60
"""Ten minutes of ten seconds each."""

# Batches from the newest back until they hold enough changes, whatever is left out of them: a batch may have ten
# thousand. What each command writes beside its rows (events, keys of elsewhere) would hide the rows. An entry of an
# access log is written outside any command and names itself who did what.
_PASSING = """
with counted as (
    select batch_id, landed_at, sum(changes) over (order by batch_id desc) - changes as newer
    from (select * from log.batch order by batch_id desc limit 200) as latest
),
passing as (
    select c.*, b.landed_at
    from counted as b
    join log.change_log as c
        on c.batch_id = b.batch_id and c.landed_on >= (b.landed_at at time zone 'UTC')::date - 1
    where b.newer < 10 * %(limit)s and c.table_name not in ('outbox', 'external_reference')
    order by c.batch_id desc, c.committed_at desc, c.lsn desc, c.seq desc
    limit %(limit)s
)
select
    p.source, p.schema_name || '.' || p.table_name as object_type, p.key, p.op::text as op, p.committed_at,
    greatest(extract(epoch from p.landed_at - p.committed_at), 0)::float8 as lag_seconds,
    coalesce(t.command, a.action) as command,
    coalesce(t.actor_name, a.actor_name) as actor,
    coalesce(t.actor, a.actor_id)::text as actor_id
from passing as p
left join lateral (
    select command, actor_name, actor
    from log.transactions as t
    where (t.source, t.epoch, t.xid) = (p.source, p.epoch, p.xid) and t.lsn <= p.lsn
    order by t.lsn desc, t.seq desc
    limit 1
) as t on true
left join lateral (
    select l.actor_name, l.actor_id, concat_ws(' ', l.kind, l.action) as action
    from jsonb_to_record(p.after) as l (actor_name text, actor_id uuid, action text, kind text)
    where p.table_name = 'access_log'
) as a on true
order by p.batch_id desc, p.committed_at desc, p.lsn desc, p.seq desc
"""
_TICKS = """
select
    to_timestamp(floor(extract(epoch from landed_at) / %(tick)s) * %(tick)s) as at,
    sum(changes)::bigint as changes,
    coalesce(max(extract(epoch from landed_at - first_committed_at)), 0)::float8 as slowest
from log.batch
where landed_at >= %(since)s and from_lsn <> to_lsn
group by 1
"""
_KEYS = "select model, key, attempts, error, parked_at from ops.parked_key order by parked_at"
_EVENTS = """
select consumer, type, event_id::text, aggregate_type, aggregate_id::text, attempts, last_error, behind, parked_at
from stream.parked
order by parked_at
"""
_RECORDS = (
    "select source, topic, partition, record_offset, error, parked_at from stream.kafka_parked order by parked_at"
)
_MALFORMED = "select source, producer, outbox_id::text, error, found_at from stream.malformed order by found_at"


class Operations:
    """One for the process: ``operations`` gives it."""

    def __init__(self) -> None:
        self._home = Home(config.home())
        self._remembered: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    @property
    def _config(self) -> Config:
        return config.current()  # a service may have moved meanwhile

    def state(self) -> State:
        """Of at most a few seconds ago: who asks gets what is known and has it looked at anew for whoever asks next."""
        at, known = self._remembered.get("state", (0.0, None))
        age = time.monotonic() - at
        if not at or age > STALE_SECONDS:
            return self._recent("state", STATE_SECONDS, self._state)
        if age > STATE_SECONDS and not self._locks["state"].locked():
            threading.Thread(
                target=self._recent, args=["state", STATE_SECONDS, self._state], name="stream state", daemon=True
            ).start()
        found: State = known
        return found

    def passing(self, limit: int) -> list[Change]:
        return self._recent("passing", PASSING_SECONDS, lambda: self._passing(limit))

    def ticks(self) -> list[Tick]:
        return self._recent("ticks", PASSING_SECONDS, self._ticks)

    def parked(self) -> list[Parked]:
        return self._recent("parked", PASSING_SECONDS, self._parked)

    def replay(self, kind: str, key: str) -> str:
        done = {
            "change": self._replay_change,
            "record": self._replay_records,
            "key": self._replay_key,
            "event": self._replay_event,
        }
        if kind not in done:
            raise LookupError(f"Nothing of kind {kind!r} can be replayed.")
        said = done[kind](key)
        self._remembered.clear()
        return said

    def _recent(self, name: str, seconds: float, look: Callable[[], AnswerT]) -> AnswerT:
        """What ``look`` found at most ``seconds`` ago; of several who ask at once, one looks."""
        with self._locks[name]:
            at, answer = self._remembered.get(name, (0.0, None))
            if not at or time.monotonic() - at > seconds:
                answer = look()
                self._remembered[name] = (time.monotonic(), answer)
        found: AnswerT = answer
        return found

    def _state(self) -> State:
        report = collect(self._home)
        sinks = {row["source"]: row for row in report["sinks"] if row["sink"] == "landing"}
        return State(
            as_of=datetime.now(UTC),
            sources=[_source(row, sinks.get(row["source"], {})) for row in report["sources"]],
            queues=[
                Queue(row["sink"], "batches", row["pending"], row["oldest_seconds"])
                for row in report["sinks"]
                if row["sink"] != "landing"
            ]
            + [
                Queue(row["consumer"], "events", row["pending"], row["lag_seconds"], row["retrying"], row["parked"])
                for row in report["deliveries"]
            ],
            processes=[_process(row) for row in report["processes"]],
            problems=report["problems"],
            dagster=report["links"]["dagster"],
        )

    def _passing(self, limit: int) -> list[Change]:
        return [
            Change(**{**row, "key": ", ".join(str(value) for value in row["key"].values())})
            for row in self._warehouse(_PASSING, {"limit": limit})
        ]

    def _ticks(self) -> list[Tick]:
        now = int(time.time())
        first = datetime.fromtimestamp(now - now % TICK - (TICKS - 1) * TICK, UTC)
        found = {row["at"]: row for row in self._warehouse(_TICKS, {"tick": TICK, "since": first})}
        moments = [first + timedelta(seconds=TICK * number) for number in range(TICKS)]
        return [
            Tick(at, found[at]["changes"], found[at]["slowest"]) if at in found else Tick(at, 0, 0.0) for at in moments
        ]

    def _warehouse(self, statement: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            with psycopg.connect(f"{self._config.warehouse_url()}?{TIMEOUT}", row_factory=dict_row) as connection:
                return connection.execute(statement.encode(), parameters).fetchall()
        except psycopg.Error as error:
            raise WarehouseUnavailable(str(error).strip()) from error

    def _parked(self) -> list[Parked]:
        try:
            with psycopg.connect(f"{self._config.warehouse_url()}?{TIMEOUT}", autocommit=True) as warehouse:
                found = [_parked_change(key) for key in list_parked(warehouse)]
                found += [_parked_record(record) for record in list_records(warehouse)]
                found += [_parked_key(*row) for row in warehouse.execute(_KEYS)]
        except psycopg.Error as error:
            raise WarehouseUnavailable(str(error).strip()) from error
        try:
            with psycopg.connect(f"{self._config.stream_url('postgres')}?{TIMEOUT}", autocommit=True) as stream:
                found += [_parked_event(*row) for row in stream.execute(_EVENTS)]
                found += [_unreadable_event(*row) for row in stream.execute(_RECORDS)]
                found += [_malformed(*row) for row in stream.execute(_MALFORMED)]
        except psycopg.Error as error:
            raise WarehouseUnavailable(str(error).strip()) from error
        return found

    def _replay_change(self, key: str) -> str:
        source, table, named = _unpacked(key, 3)
        with psycopg.connect(self._config.warehouse_url(), autocommit=True) as warehouse:
            known = [(k.source, k.table, k.key) for k in list_parked(warehouse)]
        if (source, table, named) not in known or source not in {d.name for d in landing.databases(self._config)}:
            raise LookupError("This change is not parked any more.")
        done = replay_parked(self._config.warehouse_url(), source, table, named)
        if done.still_refused:
            return f"{table}: {done.applied} changes applied, then refused again. {done.still_refused[0].error}"
        return f"{table}: {done.applied} changes applied."

    def _replay_records(self, key: str) -> str:
        """All of its source: a record alone would come before those that stood before it."""
        (source,) = _unpacked(key, 1)
        publications = {d.name: d.publications for d in landing.databases(self._config)}
        with psycopg.connect(self._config.warehouse_url(), autocommit=True) as warehouse:
            if source not in publications or not list_records(warehouse, source):
                raise LookupError("This record is not parked any more.")
        done = replay_records(self._config.warehouse_url(), source, publications[source])
        return (
            f"Records of {source}: {done.read} read, with {done.changes} new changes, "
            f"{len(done.still_unreadable)} still unreadable."
        )

    def _replay_key(self, key: str) -> str:
        (model,) = _unpacked(key, 1)
        with psycopg.connect(self._config.warehouse_url(), autocommit=True) as warehouse:
            row = warehouse.execute("select ops.retry_parked(%s)", [model]).fetchone()
        if not row or not row[0]:
            raise LookupError("This key is not parked any more.")
        return f"{model}: {row[0]} keys are tried again now."

    def _replay_event(self, key: str) -> str:
        consumer, event = _unpacked(key, 2)
        with psycopg.connect(self._config.stream_url("hw_dispatch"), autocommit=True) as stream:
            row = stream.execute("select stream.replay(%s, %s)", [consumer, event]).fetchone()
        if not row or not row[0]:
            raise LookupError("This event is not parked any more.")
        return f"{consumer} is given the event again now, and {row[0] - 1} behind it."


@cache
def operations() -> Operations:
    """What ``settings.HEADWATER_OPERATIONS`` names."""
    return Operations()


def _source(row: dict[str, Any], sink: dict[str, Any]) -> Source:
    """A slot of a source; what landing says of the source stands at landing's own."""
    is_landing = str(row["slot"]).startswith("hw_landing")
    said = sink if is_landing else {}
    return Source(
        name=row["source"],
        reader=str(row["slot"]).removeprefix("hw_"),
        attached=row["active"],
        state=said.get("state") or ("streaming" if row["active"] else "stopped"),
        lsn=said.get("lsn"),
        unread=row["lag_bytes"],
        kept=row["retained_bytes"],
        lag_seconds=said.get("lag_seconds"),
        error=said.get("error") or (None if row["wal_status"] != "lost" else "its log was removed: headwater repair"),
    )


def _process(row: dict[str, Any]) -> Process:
    heartbeat = row["heartbeat"] or {}
    ended, since = row["last_end"], row["since"]
    back = None
    if ended is not None and row["state"] == "running":
        begun = [since, *([datetime.fromisoformat(heartbeat["since"]).timestamp()] if heartbeat.get("since") else [])]
        back = max(0.0, max(begun) - ended)
    return Process(
        name=row["name"],
        state=row["state"],
        memory=row["memory_bytes"],
        uptime=row["uptime_seconds"],
        restarts=row["restarts"],
        last_end=None if ended is None else datetime.fromtimestamp(ended, UTC),
        how=row["last_exit"],
        recovered_after=back,
        error=heartbeat.get("error"),
    )


def _parked_change(key: Any) -> Parked:
    named = ", ".join(f"{column} {value}" for column, value in key.key.items())
    return Parked(
        kind="change",
        key=_packed(key.source, key.table, key.key),
        what=f"{key.table} {named}",
        where=f"mirror of {key.source}",
        waiting=key.changes,
        attempts=None,
        since=datetime.fromisoformat(key.since),
        reason=key.error,
    )


def _parked_record(record: ParkedRecord) -> Parked:
    """A record that landing could not read; one button for its source's."""
    what = f"{record.topic}[{record.partition}] {record.offset}"
    since = datetime.fromisoformat(record.since)
    return Parked("record", _packed(record.source), what, f"landing of {record.source}", 1, None, since, record.error)


def _unreadable_event(source: str, topic: str, partition: int, offset: int, error: str, parked_at: datetime) -> Parked:
    """A record that is no event: nothing to try again, its service must send what it meant."""
    what, key = f"{topic}[{partition}] {offset}", _packed(source, topic, partition, offset)
    return Parked("record", key, what, f"dispatch of {source}", 1, None, parked_at, error, replayable=False)


def _parked_key(model: str, key: str, attempts: int, error: str, parked_at: datetime) -> Parked:
    what = f"{model}: the whole model" if key == "*" else f"{model} {key}"
    return Parked("key", _packed(model), what, "mart", 1, attempts, parked_at, error)


def _parked_event(
    consumer: str,
    kind: str,
    event: str,
    aggregate: str,
    aggregate_id: str,
    attempts: int,
    error: str,
    behind: int,
    parked_at: datetime,
) -> Parked:
    what = f"{kind} of {aggregate} {aggregate_id}"
    return Parked("event", _packed(consumer, event), what, consumer, 1 + behind, attempts, parked_at, error or "")


def _malformed(source: str, producer: str, outbox_id: str, error: str, found_at: datetime) -> Parked:
    """An outbox row that is no event: nothing to try again, its service must send what it meant."""
    what = f"outbox row {outbox_id}"
    return Parked("outbox", _packed(source, outbox_id), what, producer, 1, None, found_at, error, replayable=False)


def _packed(*parts: Any) -> str:
    return json.dumps(parts, sort_keys=True)


def _unpacked(key: str, count: int) -> list[Any]:
    try:
        parts = json.loads(key)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) != count:
        raise LookupError("The form names nothing that is parked.")
    return parts

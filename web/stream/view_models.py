"""What the Stream page shows, worded and measured: geometry of the sparkline, durations, sizes, links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from web.addresses import record
from web.stream.port import Change, Parked, Process, Queue, Source, State, Tick

WIDTH, HEIGHT = 600, 72
_OPS = {"c": "added", "u": "changed", "d": "deleted", "t": "emptied", "r": "read"}
_LATE = 5.0
"""Seconds of lag from which on a change counts as late."""


@dataclass(frozen=True)
class Passing:
    """``mine``: the reader's own doing."""

    change: Change
    did: str
    url: str
    record: str
    lag: str
    late: bool
    mine: bool


def passing(changes: Sequence[Change], reader_id: object) -> list[Passing]:
    return [
        Passing(
            change=change,
            did=_OPS.get(change.op, change.op),
            url="" if change.op == "d" else record(change.object_type, change.key),
            record=_short(change.key),
            lag=duration(change.lag_seconds),
            late=change.lag_seconds > _LATE,
            mine=reader_id is not None and change.actor_id == str(reader_id),
        )
        for change in changes
    ]


def _short(key: str) -> str:
    """The end of an id: UUIDv7s begin alike."""
    return key if len(key) <= 12 else f"…{key[-8:]}"


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    tick: Tick


@dataclass(frozen=True)
class Spark:
    """Bars from zero; ``peak`` is the highest, ``rows`` what the table behind shows (ten seconds with changes)."""

    bars: list[Bar]
    peak: int
    rate: float
    total: int
    slowest: str
    rows: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT


def spark(ticks: Sequence[Tick]) -> Spark:
    peak = max((tick.changes for tick in ticks), default=0)
    step = WIDTH / max(1, len(ticks))
    bars = []
    for place, tick in enumerate(ticks):
        height = round((HEIGHT - 2) * tick.changes / peak, 1) if peak else 0.0
        height = max(height, 1.0) if tick.changes else 0.0
        bars.append(Bar(round(step * place + 1, 1), round(HEIGHT - height, 1), round(step - 2, 1), height, tick))
    whole = ticks[-2] if len(ticks) > 1 else None  # the last one has only begun
    return Spark(
        bars=bars,
        peak=peak,
        rate=(whole.changes / 10) if whole else 0.0,
        total=sum(tick.changes for tick in ticks),
        slowest=duration(max((tick.slowest for tick in ticks), default=0.0)),
        rows=[tick for tick in reversed(ticks) if tick.changes],
    )


@dataclass(frozen=True)
class Line:
    """A row of a table with what it means: ``tone`` for the pill, words for durations and sizes, ``url`` of the asset
    as which Dagster shows this reader's work."""

    of: Source | Queue | Process
    word: str
    tone: str
    first: str = ""
    second: str = ""
    third: str = ""
    url: str = ""


_ASSETS = {
    "landing": "log/change_log",
    "refresh": "ops/model_state",
    "lake": "lake/changes",
    "search": "search/account",
}


def in_dagster(state: State, reader: str) -> str:
    """The page of the asset that the reader keeps up; empty where Dagster does not run or knows none."""
    return f"{state.dagster}/assets/{_ASSETS[reader]}" if state.dagster and reader in _ASSETS else ""


def lineage(state: State) -> str:
    """Dagster's page of everything, from source tables to marts; empty where Dagster does not run."""
    return f"{state.dagster}/asset-groups" if state.dagster else ""


def sources(state: State) -> list[Line]:
    tones = {"streaming": "good", "snapshot": "info", "waiting": "warn", "stopped": "bad"}
    return [
        Line(
            of=s,
            word=s.state,
            tone=tones.get(s.state, "quiet"),
            first=size(s.unread),
            second=size(s.kept),
            third=duration(s.lag_seconds),
            url=in_dagster(state, s.reader),
        )
        for s in state.sources
    ]


def queues(state: State) -> list[Line]:
    lines = []
    for queue in state.queues:
        if queue.parked:
            word, tone = "parked", "bad"
        elif queue.retrying:
            word, tone = "retrying", "warn"
        elif queue.pending and queue.oldest_seconds > 60:
            word, tone = "behind", "warn"
        else:
            word, tone = "current", "good"
        url = in_dagster(state, queue.consumer) if queue.kind == "batches" else ""
        lines.append(Line(queue, word, tone, duration(queue.oldest_seconds) if queue.pending else "–", url=url))
    return lines


def processes(state: State) -> list[Line]:
    tones = {"running": "good", "waiting": "bad", "held": "info", "stopping": "info", "stopped": "quiet"}
    lines = []
    for process in state.processes:
        word, tone = process.state, tones.get(process.state, "quiet")
        if process.error:
            word, tone = "in trouble", "warn"
        back = "not yet" if process.last_end and process.recovered_after is None else duration(process.recovered_after)
        lines.append(Line(process, word, tone, size(process.memory), duration(process.uptime), back))
    return lines


@dataclass(frozen=True)
class Verdict:
    """The page in one sentence."""

    word: str
    tone: str
    text: str


def verdict(state: State, parked: Sequence[Parked] | None) -> Verdict:
    stopped = [s for s in state.sources if s.state == "stopped"]
    down = [p for p in state.processes if p.state == "waiting"]
    if state.problems or parked is None:
        return Verdict("Blind", "bad", "A database gives no answer; what it knows is missing below.")
    if stopped or down:
        names = ", ".join([*dict.fromkeys(s.name for s in stopped), *(p.name for p in down)])
        return Verdict("Stopped", "bad", f"{names} does not go on. Nothing is lost; it waits.")
    if parked:
        count = f"{len(parked)} thing{'s' if len(parked) > 1 else ''}"
        return Verdict("Needs somebody", "warn", f"{count} could not be applied and waits; everything else goes on.")
    late = [q for q in state.queues if q.pending and q.oldest_seconds > 60]
    if late:
        return Verdict("Behind", "warn", f"{', '.join(q.consumer for q in late)} is more than a minute behind.")
    return Verdict("Flowing", "good", "Everything that was committed is on its way.")


def duration(seconds: float | None) -> str:
    """``340 ms``, ``2.1 s``, ``4 min``, ``2.5 h``, ``3 d``."""
    if seconds is None:
        return "–"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def size(count: int | None) -> str:
    """``512 B``, ``3.4 kB``, ``21.0 MB``."""
    if count is None or count < 1024:
        return "–" if count is None else f"{count} B"
    scaled, units = count / 1024, ["kB", "MB", "GB"]
    while scaled >= 1024 and len(units) > 1:
        scaled /= 1024
        units.pop(0)
    return f"{scaled:.1f} {units[0]}"

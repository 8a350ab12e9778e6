"""Compares a mirror with its source table while both go on: by count, and by hash of rows over ranges of keys.

Rows that differ are looked at again until the mirror shows a version that the source had, so that what is merely under
way is no difference. Only reads; ``pipelines.landing.resnapshot`` mends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import psycopg

from cdc.catalogue import SESSION_OPTIONS, TableDefinition, read_catalogue
from cdc.positions import format_lsn
from pipelines.landing.mirrors import Mirror, Mirrors, landed_column
from pipelines.landing.resnapshot import NotMirrored
from pipelines.landing.worker import SourceDatabase
from warehouse.mirror import qualified, quote

Connection = psycopg.Connection[tuple[Any, ...]]

WHOLE_ROWS: Final = 200_000
"""Rows of a table up to which every row is hashed; of a larger one a share of about so many, another one each day."""

RANGES: Final = 256
ROUNDS: Final = 6
LANDING_SECONDS: Final = 20.0
"""How long landing may take to reach what the source had committed when the comparison began."""

STATEMENT_SECONDS: Final = 300
MOST_KEYS: Final = 10_000
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """``compared`` rows were hashed, of ``source_rows``; ``share`` says which part of the keys (1 of 1 is all).

    ``differing`` are the first keys whose rows differ or stand on one side only. ``reached`` says whether landing came
    to where the source was; if not, differences may be what has not landed.
    """

    table: str
    source_rows: int
    mirror_rows: int
    counts_agree: bool
    compared: int
    share: tuple[int, int]
    differing: tuple[str, ...]
    reached: bool
    seconds: float

    @property
    def is_equal(self) -> bool:
        return self.counts_agree and not self.differing


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's table as SQL: ``rows`` is a relation of (key, digest), both comparable with the other side's."""

    connection: Connection
    rows: str

    def count(self) -> int:
        return int(self._one(f"select count(*) from ({self.rows}) r"))

    def ranges(self, part: int, of: int) -> dict[int, tuple[int, int]]:
        """Range → (rows, sum of digests) of the chosen part of the keys."""
        found = self.connection.execute(
            "select (hashtextextended(key, 0) & 1048575) %% %s, count(*), sum(digest::numeric)"
            f" from ({self.rows}) r where (hashtextextended(key, 1) & 1048575) %% %s = %s group by 1".encode(),
            [RANGES, of, part],
        )
        return {number: (rows, int(digest)) for number, rows, digest in found}

    def of_ranges(self, numbers: Sequence[int], part: int, of: int) -> dict[str, int]:
        found = self.connection.execute(
            f"select key, digest from ({self.rows}) r where (hashtextextended(key, 1) & 1048575) %% %s = %s"
            " and (hashtextextended(key, 0) & 1048575) %% %s = any(%s) limit %s".encode(),
            [of, part, RANGES, list(numbers), 50 * MOST_KEYS],
        )
        return dict(found.fetchall())

    def of_keys(self, keys: Sequence[str]) -> dict[str, int]:
        query = f"select key, digest from ({self.rows}) r where key = any(%s)"
        return dict(self.connection.execute(query.encode(), [list(keys)]).fetchall())

    def _one(self, query: str) -> Any:
        row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def compare(database: SourceDatabase, warehouse_dsn: str, table: str, *, today: date) -> Comparison:
    """Compares ``schema.table``. ``today`` chooses the share of a large table. Raises NotMirrored, psycopg.Error."""
    began = time.monotonic()
    options = f"{SESSION_OPTIONS} -c statement_timeout={STATEMENT_SECONDS}s"
    name = "headwater reconcile"
    with (
        psycopg.connect(database.dsn, autocommit=True, options=options, application_name=name) as source,
        psycopg.connect(warehouse_dsn, autocommit=True, options=options, application_name=name) as warehouse,
    ):
        here, there, estimate = _sides(database, source, warehouse, table)
        of = max(1, -(-estimate // WHOLE_ROWS))
        part = today.toordinal() % of
        before = here.count()
        ranges = here.ranges(part, of)
        reached = _reached(warehouse, database.name, database.mark())
        mirrored = there.ranges(part, of)
        suspects = [n for n in ranges.keys() | mirrored.keys() if ranges.get(n) != mirrored.get(n)]
        differing = _settled(here, there, suspects, part, of)
        mirror_rows = there.count()
        after = here.count()
        return Comparison(
            table=table,
            source_rows=after,
            mirror_rows=mirror_rows,
            counts_agree=_agree(here, there, before, mirror_rows, after),
            compared=sum(rows for rows, _ in ranges.values()),
            share=(part + 1, of),
            differing=tuple(differing[:SHOWN]),
            reached=reached,
            seconds=round(time.monotonic() - began, 3),
        )


def _sides(database: SourceDatabase, source: Connection, warehouse: Connection, table: str) -> tuple[_Side, _Side, int]:
    mirrors = Mirrors(warehouse, database.name, frozenset())
    mirrors.load()
    schema, _, name = table.partition(".")
    mirror = mirrors.named(schema, name)
    if mirror is None or mirror.dropped:
        raise NotMirrored(database.name, table)
    defined = read_catalogue(source, relids=[mirror.relid])
    if not defined:
        raise NotMirrored(database.name, table)
    (definition,) = defined
    landed = {column.attnum: column for column in mirror.columns.values() if not column.dropped}
    pairs = []
    for column in definition.columns:
        there, here = landed.get(column.attnum), landed_column(column)
        # What the stream has still to retype, and composites, which land as jsonb, have no common text.
        if there is not None and there.shape is None and there.type_name == here.type_name:
            pairs.append((quote(column.name), quote(there.name)))
    keys = [(quote(definition_name), quote(name)) for definition_name, name in _keys(definition, mirror)]
    own = f"{quote(definition.schema)}.{quote(definition.table)}"
    here_rows = _rows(own, [k for k, _ in keys], [p for p, _ in pairs])
    there_rows = _rows(qualified(schema, name), [k for _, k in keys], [p for _, p in pairs])
    estimate = source.execute("select greatest(reltuples, 0)::bigint from pg_class where oid = %s", [mirror.relid])
    row = estimate.fetchone()
    return (
        _Side(source, here_rows),
        _Side(warehouse, f"{there_rows} where not _deleted"),
        int(row[0]) if row else 0,
    )


def _keys(definition: TableDefinition, mirror: Mirror) -> list[tuple[str, str]]:
    """The mirror's key columns, each with its present name at the source."""
    present = {column.attnum: column.name for column in definition.columns}
    return [(present.get(mirror.columns[name].attnum or 0, name), name) for name in mirror.key]


def _rows(relation: str, keys: Sequence[str], columns: Sequence[str]) -> str:
    key = "concat_ws(E'\\x1f', " + ", ".join(f"{column}::text" for column in keys) + ")"
    text = "row(" + ", ".join(f"{column}::text" for column in columns) + ")::text"
    return f"select {key} as key, hashtextextended({text}, 0) as digest from {relation}"


def _settled(here: _Side, there: _Side, suspects: Sequence[int], part: int, of: int) -> list[str]:
    """The keys of these ranges that differ and go on differing, although the mirror had time to follow."""
    if not suspects:
        return []
    left, right = here.of_ranges(suspects, part, of), there.of_ranges(suspects, part, of)
    keys = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))[:MOST_KEYS]
    seen: dict[str, set[int | None]] = {key: {left.get(key)} for key in keys}
    shown: dict[str, set[int | None]] = {key: {right.get(key)} for key in keys}
    for round_ in range(ROUNDS):
        if not keys:
            return []
        time.sleep(0.05 * 2**round_)
        left, right = here.of_keys(keys), there.of_keys(keys)
        for key in keys:
            seen[key].add(left.get(key))
            shown[key].add(right.get(key))
        keys = [key for key in keys if left.get(key) != right.get(key)]
    # A row that the source changes all the time is never caught equal; that the mirror follows will do.
    return [k for k in keys if len(seen[k]) == 1 or (len(shown[k]) == 1 and not shown[k] & seen[k])]


def _agree(here: _Side, there: _Side, before: int, mirrored: int, after: int) -> bool:
    """Whether the mirror's count lies between two of the source's, taken before and after it; tried a few times."""
    for round_ in range(ROUNDS):
        if min(before, after) <= mirrored <= max(before, after):
            return True
        time.sleep(0.05 * 2**round_)
        before, mirrored, after = after, there.count(), here.count()
    return False


def _reached(warehouse: Connection, source: str, lsn: int) -> bool:
    deadline = time.monotonic() + LANDING_SECONDS
    while True:
        row = warehouse.execute(
            "select lsn >= %s::pg_catalog.pg_lsn from log.position where source = %s", [format_lsn(lsn), source]
        ).fetchone()
        if row is not None and row[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def seconds_behind(database: SourceDatabase, warehouse: Connection) -> float:
    """How long ago landing last stored a position, where the source has written since; 0 where it has everything."""
    with psycopg.connect(database.dsn, autocommit=True, connect_timeout=5) as source:
        row = source.execute(
            "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) > 0 from pg_replication_slots"
            " where slot_name = %s",
            [database.slot],
        ).fetchone()
    if row is not None and not row[0]:
        return 0.0
    stored = warehouse.execute(
        "select extract(epoch from clock_timestamp() - updated_at)::float8 from log.position where source = %s",
        [database.name],
    ).fetchone()
    return float(stored[0]) if stored is not None else float("inf")

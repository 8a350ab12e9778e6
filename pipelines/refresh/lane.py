"""One pass of the hot lane: claim a group of batches, refresh what they touched, release them, in one transaction.

Correct whatever the mirror already holds beyond the claimed batches: a key is refreshed from the state that the
transaction sees, and a later batch that changes it, or moves a row away from it, names it again by its images.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from cdc.failpoints import reach
from pipelines import tracing
from pipelines.landing.text import array_literal
from pipelines.refresh.errors import MartsMissing, is_of_data, is_of_model
from pipelines.refresh.parking import WHOLE_MODEL, Parked
from pipelines.refresh.program import HotModel, Program, Table

Connection = psycopg.Connection[tuple[Any, ...]]

REBUILD_ABOVE: Final = 5_000
"""Keys of one model in one pass; more, and more than a fifth of its rows, are refreshed by rebuilding it in place."""

GROUP_CHANGES: Final = 20_000
"""Changes of the batches claimed together, about; the first batch is claimed whatever its size."""

BY_KEYS: Final = "set enable_seqscan = off"
"""Of the lane's session: whatever the planner guesses of a batch's size, it goes through indexes. A recursive query is
guessed ten times too large, which would read small tables whole and then, as they grow, still read them whole."""

BY_KEYS_AGAIN: Final = "set local enable_seqscan = off"
"""After a rebuild in place, for the models that follow in the same transaction."""


@dataclass(slots=True)
class Pass:
    """What one pass did. ``keys`` counts keys over all models, ``rebuilt`` names models rebuilt in place."""

    batches: int = 0
    keys: int = 0
    rebuilt: list[str] = field(default_factory=list)
    parked: int = 0


@dataclass(frozen=True, slots=True)
class _Claim:
    """The claimed batches as array literals, and the tables that they changed; True where one was truncated."""

    batches: str
    days: str
    tables: dict[Table, bool]


class Lane:
    """Refreshes one warehouse over ``connection``, which must be in autocommit mode and is used by nothing else."""

    def __init__(self, connection: Connection, program: Program, *, rebuild_above: int = REBUILD_ABOVE) -> None:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # Never a plan made for other keys or for a smaller table: planning costs less than one wrong scan.
        connection.prepare_threshold = None
        connection.execute(BY_KEYS)
        self._connection = connection
        self._raw = psycopg.RawCursor(connection)
        self._program = program
        self._rebuild_above = rebuild_above

    def is_due(self) -> bool:
        """Whether there is anything to do: batches, a parked key that is due, another day, a mirror without images."""
        return bool(
            self._value(
                "select exists (select from log.queue where consumer = 'refresh')"
                " or exists (select from ops.parked_key where retry_at <= now())"
                " or exists (select from ops.as_of where not pinned and as_of < (now() at time zone 'utc')::date)"
                " or exists (select from ops.to_follow)"
            )
        )

    def run_pass(self) -> Pass:
        """One group of batches, as one transaction. Raises MartsMissing; other errors of psycopg may be tried again."""
        done = Pass()
        with ExitStack() as traced, self._connection.transaction():
            self._lock_models()
            batches = self._claim()
            parents = tracing.parents_of_batches(self._connection, batches)
            traced.enter_context(tracing.spans("refresh", parents, batches=len(batches)))
            reach("refresh.claimed")
            claim = self._read_claim(batches)
            parked = Parked(self._connection)
            rebuild = self._follow_day() | self._follow_mirror()
            sizes = self._sizes()
            for model in self._program.models:
                self._refresh(model, claim, parked, rebuild, sizes[model.name], done)
            self._release(batches, parked)
            done.batches = len(batches)
            reach("refresh.before_commit")
        reach("refresh.after_commit")
        return done

    def _lock_models(self) -> None:
        """Keeps a rebuilt table from being swapped in meanwhile.

        Must come first: LOCK takes no snapshot, so the transaction sees the table that stands once the lock is had. A
        snapshot taken before would find a table swapped in after it empty.
        """
        relations = ", ".join(model.relation for model in self._program.models)
        try:
            self._connection.execute(f"lock table {relations} in row exclusive mode".encode())
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise MartsMissing(error) from error

    def _claim(self) -> list[int]:
        rows = self._connection.execute(
            "select batch_id from ("
            " select batch_id, sum(changes) over (order by batch_id) - changes as before from ("
            "  select queue.batch_id, coalesce(batch.changes, 0) as changes from log.queue"
            "  left join log.batch using (batch_id) where consumer = 'refresh' order by queue.batch_id limit 1000"
            " ) as waiting) as counted where before < %s order by batch_id",
            [GROUP_CHANGES],
        )
        return [batch_id for (batch_id,) in rows]

    def _read_claim(self, batches: Sequence[int]) -> _Claim:
        literal = "{" + ",".join(map(str, batches)) + "}"
        rows = self._raw.execute(
            "select schema_name, table_name, bool_or(op = 't'), array_agg(distinct landed_on::text)"
            " from log.change_log where batch_id = any($1::bigint[]) group by 1, 2",
            [literal],
        ).fetchall()
        days = {day for *_, landed_on in rows for day in landed_on}
        return _Claim(literal, "{" + ",".join(days) + "}", {(s, t): truncated for s, t, truncated, _ in rows})

    def _follow_day(self) -> set[str]:
        """Moves ``ops.as_of`` to today where it is over, and names the models to be rebuilt for it."""
        moved = self._connection.execute(
            "update ops.as_of set as_of = (now() at time zone 'utc')::date"
            " where not pinned and as_of < (now() at time zone 'utc')::date"
        ).rowcount
        return {model.name for model in self._program.models if moved and model.follows_as_of}

    def _follow_mirror(self) -> set[str]:
        """Names the models that read a mirror which changed without images (``ops.to_follow``), and remembers that."""
        rows = self._connection.execute("select fact, schema_name, table_name from ops.to_follow").fetchall()
        self._connection.execute(
            "insert into ops.followed (fact) select unnest(%s::text[]) on conflict do nothing", [[r[0] for r in rows]]
        )
        return {
            model.name
            for model in self._program.models
            for _, schema, table in rows
            if schema is None or (schema, table) in model.touched
        }

    def _sizes(self) -> dict[str, int]:
        relations = array_literal([model.relation for model in self._program.models])
        names = array_literal([model.name for model in self._program.models])
        rows = self._raw.execute(
            "select name, reltuples::bigint from unnest($1::text[], $2::text[]) as hot (name, relation)"
            " join pg_class on pg_class.oid = relation::regclass",
            [names, relations],
        )
        return dict(rows.fetchall())

    def _refresh(
        self, model: HotModel, claim: _Claim, parked: Parked, rebuild: set[str], size: int, done: Pass
    ) -> None:
        whole = model.name in rebuild or parked.is_whole_due(model.name)
        whole = whole or any(claim.tables.get(table) for table in model.touched)
        if whole:
            healed = self._rebuild(model, claim, parked, done)
        else:
            limit = max(self._rebuild_above, size // 5)
            keys = self._touched(model, claim, limit + 1) | parked.due(model.name)
            if len(keys) > limit:
                healed = self._rebuild(model, claim, parked, done, for_many_keys=True)
            else:
                # One by one those that failed before: together with them the rest would fail again.
                suspects = keys & parked.keys(model.name)
                healed = self._refresh_keys(model, sorted(keys - suspects), parked, done)
                for key in sorted(suspects):
                    healed |= self._refresh_keys(model, [key], parked, done)
        if healed:
            rebuild |= model.below

    def _touched(self, model: HotModel, claim: _Claim, limit: int | None) -> set[str]:
        keys: set[str] = set()
        for table, statement in model.touched.items():
            if table in claim.tables:
                rows = self._raw.execute(statement.encode(), [claim.batches, claim.days, limit])
                keys.update(key for (key,) in rows.fetchall())
        return keys

    def _rebuild(
        self, model: HotModel, claim: _Claim, parked: Parked, done: Pass, *, for_many_keys: bool = False
    ) -> bool:
        """Replaces every row of the model; whether something of it was parked before and is well now.

        Deleting and inserting instead of swapping tables: readers go on undisturbed, and nothing has to be secured
        anew. Where a bad row prevents it, every known key is refreshed by itself, so that only the bad one is left
        out; that is all there is to do if the rebuild was only for many keys, else the model waits for another try.
        """
        self._connection.execute("set local enable_seqscan = on")
        try:
            self._write(model, model.delete_all, model.insert_all, [])
        except psycopg.Error as error:
            if self._connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
                self._connection.execute(BY_KEYS_AGAIN)
            self._park_model_or_raise(model, error, parked, done)
            if not is_of_data(error):
                return False
            if not for_many_keys:
                parked.park(model.name, WHOLE_MODEL, error)
            keys = self._touched(model, claim, None) | parked.keys(model.name) | self._standing(model)
            return self._refresh_chunks(model, sorted(keys), parked, done)
        self._connection.execute(BY_KEYS_AGAIN)
        done.rebuilt.append(model.name)
        return parked.heal(model.name, None)

    def _standing(self, model: HotModel) -> set[str]:
        rows = self._connection.execute(f'select distinct "{model.key}"::text from {model.relation}'.encode())
        return {key for (key,) in rows}

    def _refresh_chunks(self, model: HotModel, keys: Sequence[str], parked: Parked, done: Pass) -> bool:
        healed = False
        for start in range(0, len(keys), self._rebuild_above):
            healed |= self._refresh_keys(model, keys[start : start + self._rebuild_above], parked, done)
        return healed

    def _park_model_or_raise(self, model: HotModel, error: psycopg.Error, parked: Parked, done: Pass) -> None:
        """Parks the model if its SQL is at fault; raises what is neither the model's nor the data's fault."""
        if is_of_model(error):
            parked.park(model.name, WHOLE_MODEL, error)
            done.parked += 1
        elif not is_of_data(error):
            raise error

    def _refresh_keys(self, model: HotModel, keys: Sequence[str], parked: Parked, done: Pass) -> bool:
        """Refreshes these keys, parking those that cannot be; whether one that was parked is well now."""
        if not keys:
            return False
        try:
            self._write(model, model.delete_keys, model.insert_keys, [array_literal(keys)])
        except psycopg.Error as error:
            self._park_model_or_raise(model, error, parked, done)
            if not is_of_data(error):
                return False
            if len(keys) == 1:
                parked.park(model.name, keys[0], error)
                done.parked += 1
                return False
            middle = len(keys) // 2
            first = self._refresh_keys(model, keys[:middle], parked, done)
            return self._refresh_keys(model, keys[middle:], parked, done) or first
        done.keys += len(keys)
        return parked.heal(model.name, keys)

    def _write(self, model: HotModel, delete: str, insert: str, parameters: Sequence[str]) -> None:
        with self._connection.transaction():
            self._raw.execute(delete.encode(), parameters)
            reach("refresh.after_delete")
            self._raw.execute(insert.encode(), parameters)

    def _release(self, batches: Sequence[int], parked: Parked) -> None:
        if not batches:
            return
        fresh = [model.name for model in self._program.models if not parked.is_whole(model.name)]
        self._connection.execute(
            "insert into ops.model_state (model, source, batch_id, committed_at, refreshed_at)"
            " select model, source, max(batch_id), max(last_committed_at), now()"
            " from log.batch cross join unnest(%s::text[]) as model where batch_id = any(%s) group by model, source"
            " on conflict (model, source) do update set batch_id = greatest(model_state.batch_id, excluded.batch_id),"
            " committed_at = greatest(model_state.committed_at, excluded.committed_at),"
            " refreshed_at = excluded.refreshed_at",
            [fresh, list(batches)],
        )
        # A full rebuild under way may have read the sources before these batches came: it will queue them again.
        self._connection.execute(
            "insert into ops.rebuild_batch (model, pid, batch_id)"
            " select model, pid, batch_id from ops.rebuild cross join unnest(%s::bigint[]) as batch_id"
            " on conflict do nothing",
            [list(batches)],
        )
        self._connection.execute(
            "delete from log.queue where consumer = 'refresh' and batch_id = any(%s)", [list(batches)]
        )

    def _value(self, query: str) -> Any:
        row = self._connection.execute(query.encode()).fetchone()
        return row[0] if row else None

"""A source database, Kafka between, landing workers that may be killed, and the comparison that tests end with."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from cdc import ddl
from cdc.sources.kafka_member import KafkaStream
from pipelines.landing.worker import SourceDatabase
from tests.kafka.shop import Shop
from tests.pipelines.landing.kafka.process import arguments, spawn
from tests.pipelines.landing.stage import WarehouseDatabase
from tests.stack import eventually

DEADLINE = 90.0
SESSION_TIMEOUT = 6.0
MARKS = 16
TABLES = ("shop.item", "shop.visit")


class KafkaStage:
    """Workers are named ``one``, ``two`` …; the source is the shop's."""

    def __init__(self, shop: Shop, target: WarehouseDatabase, root: Path) -> None:
        self.shop = shop
        self.database = shop.database
        self.target = target
        self._root = root
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._marks = 1_000_000

    @property
    def name(self) -> str:
        return self.shop.source.name

    @property
    def source(self) -> SourceDatabase:
        return SourceDatabase(
            self.name,
            self.database.dsn,
            self._root / "spool",
            slot=self.shop.source.slot,
            publications=(self.shop.source.publication,),
        )

    def prepare(self) -> None:
        """A second table, the trigger, topics and connector; nothing lands yet."""
        self.database.run(
            "create table shop.visit (id int, day int, note text, primary key (id, day))",
            "alter table shop.visit replica identity full",
            "alter publication pub_all add table shop.visit",
        )
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            ddl.install(connection)
        definition = self.shop.changes()
        self.shop.apply(definition)
        eventually(lambda: self.shop.status(definition).running, DEADLINE, f"{definition.name} to run")

    def land(self, *workers: str, failpoint: str = "") -> None:
        for worker in workers:
            stream = KafkaStream(self.shop.plant.bootstrap, worker, session_timeout=SESSION_TIMEOUT)
            given = arguments(self.source, stream, self.target.dsn, self.heartbeat(worker))
            self._workers[worker] = spawn(given, self._root / f"{worker}.log", failpoint=failpoint)

    def heartbeat(self, worker: str) -> Path:
        return self._root / f"{worker}.json"

    def kill(self, worker: str) -> None:
        process = self._workers.pop(worker)
        process.kill()
        process.wait()

    def died(self, worker: str) -> None:
        """Waits until a worker with a fail-point has killed itself."""
        assert self._workers.pop(worker).wait(DEADLINE) == -signal.SIGKILL

    def stop(self, worker: str) -> None:
        process = self._workers.pop(worker)
        process.terminate()
        process.wait(DEADLINE)

    def close(self) -> None:
        for worker in list(self._workers):
            self.kill(worker)

    def commit(self, *statements: str) -> str:
        """In one transaction; returns the position just after it, as a command does."""
        with psycopg.connect(self.database.dsn) as connection:
            for statement in statements:
                connection.execute(statement.encode())
            connection.commit()
            ((lsn,),) = connection.execute("select pg_current_wal_insert_lsn()::text").fetchall()
        return str(lsn)

    def caught_up(self, *, seconds: float = DEADLINE) -> str:
        """Waits until all that is committed at this moment has landed: rows in every partition say so.

        Returns the position of this moment.
        """
        self.wait_for(lambda: (self.state() or ("", None))[0] == "streaming", "the first snapshot")
        self._marks += MARKS
        first = self._marks
        position = self.commit(
            f"""select pg_logical_emit_message(true, 'headwater.audit', '{{"command": "mark {first}"}}')""",
            f"insert into shop.item (id, name) select n, 'mark' from generate_series({first}, {first} + {MARKS} - 1) n",
        )
        # A table that is read again has rows in its mirror that are yet to come by themselves.
        landed = (
            "select (select count(*) from log.change_log where table_name = 'item' and op = 'c'"
            " and (after ->> 'id')::int >= %s), (select count(*) from log.transactions where command = %s)"
        )

        def there() -> bool:
            return bool(self.target.run(landed, parameters=[first, f"mark {first}"]) == [(MARKS, 1)])

        self.wait_for(there, "the marks", seconds=seconds)
        waiting = "select count(*) from log.snapshot where finished_at is null"
        self.wait_for(lambda: self.target.run(waiting) == [(0,)], "re-reads", seconds=seconds)
        return position

    def position_passes(self, lsn: str) -> None:
        """Waits until readers are told that everything up to ``lsn``, the last change's, is there."""
        query = "select lsn from log.position where source = %s and lsn >= %s"
        self.wait_for(lambda: self.target.run(query, parameters=[self.name, lsn]), f"position {lsn}")

    def wait_for(self, condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                told = "\n".join(path.read_text()[-3000:] for path in self._root.glob("*.log"))
                beats = "\n".join(path.read_text() for path in self._root.glob("*.json"))
                raise AssertionError(f"waited {seconds:.0f} s for {what}\n{beats}\n{told}")
            time.sleep(0.05)
        return value

    def state(self) -> tuple[str, str | None] | None:
        rows = self.target.run("select state, error from log.source_state where source = %s", parameters=[self.name])
        return rows[0] if rows else None

    def owners(self) -> dict[int, str]:
        """Partition of the changes → whoever claimed it last."""
        rows = self.target.run("select partition, owner from log.kafka_partition where topic like '%%.changes'")
        return dict(rows)

    def assert_equal(self) -> None:
        """The mirror is the source, row by row, and every change stands in the log once."""
        for table in TABLES:
            columns = self.database.run(
                "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute"
                f" where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
            )[0][0]
            wanted = {row for (row,) in self.database.run(f"select row({columns})::text from {table}")}
            found = self.target.run(f"select row({columns})::text from raw_{table} where not _deleted")
            mirrored = {row for (row,) in found}
            more, fewer = sorted(mirrored - wanted), sorted(wanted - mirrored)
            assert not more, f"{table}: {len(more)} rows that its source does not have: {more[:5]}"
            assert not fewer, f"{table}: {len(fewer)} rows of its source are missing: {fewer[:5]}"
        ((total, distinct),) = self.target.run(
            "select count(*), count(distinct (source, epoch, xid, lsn, seq)) from log.change_log where op <> 'r'"
        )
        assert total == distinct
        # Each inserted note is one change, and the log has it.
        ((noted,),) = self.database.run("select count(*) from shop.item where name like 'load %'")
        ((logged,),) = self.target.run(
            "select count(distinct after ->> 'id') from log.change_log where table_name = 'item' and op in ('c', 'r')"
            " and after ->> 'name' like 'load %%'"
        )
        assert logged >= noted

    @contextmanager
    def load(self, *, truncating: bool = True, pause: float = 0.003) -> Iterator[Load]:
        """Writes in the background until the block ends; ``pause``: seconds between transactions."""
        load = Load(self.database.dsn, truncating=truncating, pause=pause)
        load.start()
        try:
            yield load
        finally:
            load.finish()


class Load(threading.Thread):
    """Inserts, updates, deletes, key changes, truncations and audit messages, some hundred transactions a second."""

    def __init__(self, dsn: str, *, truncating: bool, pause: float) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._pause = pause
        self._truncating = truncating
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self.transactions = 0
        self._random = random.Random(7)

    def run(self) -> None:
        try:
            self._write()
        except BaseException as failure:
            self._failure = failure

    def _write(self) -> None:
        with psycopg.connect(self._dsn) as connection:
            while not self._ended.is_set():
                with connection.transaction():
                    for statement in self._statements():
                        connection.execute(statement.encode())
                self.transactions += 1
                time.sleep(self._pause)

    def finish(self) -> None:
        self._ended.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def _statements(self) -> Iterator[str]:
        number, pick = self.transactions, self._random
        yield f"""select pg_logical_emit_message(true, 'headwater.audit', '{{"command": "load {number}"}}')"""
        yield f"insert into shop.item (id, name, price) values ({number}, 'load {number}', '{number}.25')"
        some = pick.randrange(number + 1)
        yield f"update shop.item set price = '{number}', name = name where id between {some} and {some} + 3"
        yield (
            f"insert into shop.visit (id, day, note) values ({some}, {number % 7}, 'n{number}')"
            " on conflict (id, day) do update set note = excluded.note"
        )
        if number % 5 == 0:
            yield f"update shop.visit set id = {number + 100000} where id = {some} and day = {number % 7}"
        if number % 7 == 0:
            yield f"delete from shop.visit where id = {pick.randrange(number + 1)}"
        if self._truncating and number % 151 == 150:
            yield "truncate shop.visit"
            yield f"insert into shop.visit (id, day, note) values (-{number}, 0, 'after')"

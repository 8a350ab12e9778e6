"""Search over a million documents with both engines: what a grouped search takes, alone and under 500 writes a second,
how soon a commit is found, what building the index takes, and memory.

Documents are built from a durable warehouse; the sync runs in a process of its own, as in an installation; searches are
whole answers (rights, watermark, groups, marks). Half of the readers may see everything, half two territories of ten.
``HEADWATER_BENCH_DOCUMENTS`` changes the number of documents.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import psycopg.types.json

from bench.figure import Figure
from bench.search_company import account_id, fill, questions, territory_id
from headwater import proc
from headwater.embedded.postgres import WAREHOUSE, Cluster, free_port
from pipelines.runtime import Heartbeat, Stop
from policy.principal import Principal
from search.engines import open_engine
from search.place import Place
from search.port import Engine
from search.read import find_with
from tests.mirror import Connection, Stream
from tests.passwords import PASSWORD
from tests.search.servers import KEY, MeiliServer
from tests.search.world import ADMIN, make_template, reader
from tests.stack import eventually

DOCUMENTS = int(os.environ.get("HEADWATER_BENCH_DOCUMENTS", "1000000"))
QUESTIONS = 300
RATE, BATCH = 500, 25
"""Accounts renamed a second, and at a time. Each rewrites its own document and those of its contacts, 2.5 in all."""

SOUGHT = 20
"""The first accounts are looked for and not renamed by the load: a rename soon undone would never be found."""

SECONDS = 20
PATIENCE = 60.0
"""Seconds after which a rename counts as found that late."""


def run() -> Iterator[Figure]:
    root = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    root.chmod(0o711)
    cluster = Cluster("warehouse", root / "warehouse", free_port(), "postgres", WAREHOUSE)
    cluster.init()
    cluster.start()
    try:
        company = _company(cluster)
        with closing(MeiliServer(root / "meilisearch")) as server:
            places = {"tantivy": Place(root / "search"), "meilisearch": Place(root / "search", server.url, KEY)}
            for name, place in places.items():
                if place.url:
                    server.start()
                yield from _engine(name, place, company, server)
    finally:
        cluster.stop(immediate=True)
        shutil.rmtree(root, ignore_errors=True)
    yield from _commit_to_found()


class _Company:
    """The filled warehouse."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name

    def dsn(self, role: str) -> str:
        return self._cluster.dsn(self._name, user=role, password=PASSWORD)

    def connect(self) -> Connection:
        return psycopg.connect(self.dsn("wh_owner"), autocommit=True)


def _company(cluster: Cluster) -> _Company:
    template = make_template(cluster)
    with cluster.connect() as server:
        server.execute(f"create database company template {template} owner wh_owner".encode())
    company = _Company(cluster, "company")
    with company.connect() as owner:
        owner.execute("set synchronous_commit = off")
        Stream(owner)
        fill(owner, DOCUMENTS)
    return company


def _engine(name: str, place: Place, company: _Company, server: MeiliServer) -> Iterator[Figure]:
    began = time.monotonic()
    with company.connect() as owner:
        owner.execute("truncate search.standing")
    with _worker(company, place) as worker, company.connect() as owner:
        eventually(lambda: _built(owner, worker), timeout=3600, what=f"{name} holds everything")
        seconds = time.monotonic() - began
        per_second = f"{DOCUMENTS / seconds:,.0f} documents/s, read by SQL from the mirror, searched all along"
        yield Figure(f"{name}: build of {DOCUMENTS:,} documents", round(seconds, 1), "s", how=per_second)
        with closing(open_engine(place)) as engine:
            engine.settings("account")
            how = f"{QUESTIONS} whole answers of four groups, one after the other"
            p50, p95 = _percentiles(_ask(engine, company, QUESTIONS, random.Random(1)))
            yield Figure(f"{name}: grouped search p50", p50, "ms", how=how)
            yield Figure.at_most(f"{name}: grouped search p95", p95, 50, "ms", how)
            stop = threading.Event()
            writing = threading.Thread(target=_write, args=[company, name, stop])
            writing.start()
            try:
                p50, p95 = _percentiles(_ask_for(engine, company, SECONDS))
                how = f"{SECONDS} s of searches, one after the other; accounts renamed, 2.5 documents each"
                yield Figure.at_most(f"{name}: grouped search p95, {RATE} upserts/s", p95, 100, "ms", how)
                found = sorted(_found_after(engine, name, company, owner))
            finally:
                stop.set()
                writing.join()
            how = f"{SOUGHT} renames landed one by one in between, each searched for until it is found"
            p95 = round(found[int(len(found) * 0.95)], 2)
            yield Figure.at_most(f"{name}: landed → found p95, {RATE} upserts/s", p95, 1, "s", how)
            memory = proc.pss(worker.pid or 0) or 0
            parts = f"sync {memory / 1e6:.0f}, this reader {(proc.pss(os.getpid()) or 0) / 1e6:.0f}"
            if server.process is not None:
                of_server = proc.pss(server.process.pid) or 0
                parts, memory = parts + f", server {of_server / 1e6:.0f}", memory + of_server
            parts += f"; {_bytes(place if not place.url else server.directory) / 1e6:,.0f} MB of files"
            yield Figure(f"{name}: memory (PSS)", round(memory / 1e6), "MB", how=parts)


def _built(owner: Connection, worker: multiprocessing.process.BaseProcess) -> bool:
    assert worker.is_alive(), "the worker ended"
    row = owner.execute("select count(*) filter (where fingerprint <> '') from search.standing").fetchone()
    time.sleep(0.2)
    return row is not None and row[0] == 4


@contextmanager
def _worker(company: _Company, place: Place) -> Iterator[multiprocessing.process.BaseProcess]:
    """The resident worker in a process of its own."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_work, args=[company.dsn("wh_owner"), place], daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


def _work(dsn: str, place: Place) -> None:
    from pipelines.search.worker import run

    run(dsn, place, Heartbeat(place.directory.parent / "run" / "search.json", "search"), Stop().on_signals())


def _readers() -> list[Principal]:
    rep = reader("sales_rep", territory=territory_id(3))
    return [
        ADMIN,
        Principal(rep.user_id, "rep", rep.roles, (), (territory_id(3), territory_id(7)), None, rep.issued_at),
    ]


def _ask(engine: Engine, company: _Company, number: int, chance: random.Random) -> list[float]:
    readers, taken = _readers(), []
    for n, question in enumerate(questions(chance, number + 20)):
        began = time.perf_counter()
        find_with(engine, company.dsn("wh_api"), readers[n % 2], question)
        taken.append(time.perf_counter() - began)
    return taken[20:]


def _ask_for(engine: Engine, company: _Company, seconds: float) -> list[float]:
    chance, taken, until = random.Random(2), [], time.monotonic() + seconds
    while time.monotonic() < until:
        taken += _ask(engine, company, 1, chance)[-1:]
    return taken


def _percentiles(taken: list[float]) -> tuple[float, float]:
    ordered = sorted(taken)
    return tuple(round(1000 * ordered[int(len(ordered) * share)], 1) for share in (0.5, 0.95))  # type: ignore[return-value]


def _write(company: _Company, engine: str, stop: threading.Event) -> None:
    """``RATE`` accounts a second renamed, as landing would land them: batches of ``BATCH`` changes.

    The engines follow each other in one company: a name that the one before had brought would change nothing.
    """
    with company.connect() as writer:
        began, done = time.monotonic(), 0
        while not stop.is_set():
            if done / RATE > time.monotonic() - began:
                stop.wait(0.005)
                continue
            numbers = [(done + n) * 37 % (int(DOCUMENTS * 0.1) - SOUGHT) + SOUGHT + 1 for n in range(BATCH)]
            _land(writer, {account_id(number): f"Renamed {done} {engine} Company" for number in numbers})
            done += BATCH


def _land(writer: Connection, names: dict[Any, str]) -> None:
    """Mirror, change log, batch and queue in one transaction."""
    now = datetime.now(UTC)
    with writer.transaction():
        rows = writer.execute(
            "update raw_contacts.account as account set name = given.name, _committed_at = %s"
            " from unnest(%s::uuid[], %s::text[]) as given (id, name) where account.account_uuid = given.id"
            " returning account.account_uuid, old.name, new.name",
            [now, list(names), list(names.values())],
        ).fetchall()
        batch = writer.execute(
            "insert into log.batch (source, epoch, from_lsn, to_lsn, changes, first_committed_at, last_committed_at)"
            " values ('headwater', 1, '0/1', '0/1', %s, %s, %s) returning batch_id",
            [len(rows), now, now],
        ).fetchone()
        assert batch is not None
        image = psycopg.types.json.Jsonb
        with writer.cursor() as cursor:
            cursor.executemany(
                "insert into log.change_log (landed_on, batch_id, source, epoch, xid, lsn, seq, op, schema_name,"
                " table_name, key, before, after, committed_at) values (%s, %s, 'headwater', 1, %s, '0/1', %s, 'u',"
                " 'contacts', 'account', %s, %s, %s, %s)",
                [
                    [
                        now.date(),
                        batch[0],
                        batch[0],
                        seq,
                        image(key),
                        image(key | {"name": old}),
                        image(key | {"name": new}),
                        now,
                    ]
                    for seq, (id, old, new) in enumerate(rows)
                    for key in [{"account_uuid": str(id)}]
                ],
            )
        writer.execute("insert into log.queue (consumer, batch_id) values ('search', %s)", [batch[0]])
        writer.execute("notify hw_landed")


def _found_after(engine: Engine, name: str, company: _Company, owner: Connection) -> Iterator[float]:
    for n in range(SOUGHT):
        word = _distinct(f"{name} {n}")
        _land(owner, {account_id(n + 1): word})
        landed = time.monotonic()
        while not find_with(engine, company.dsn("wh_api"), ADMIN, word, entities=["account"]).total:
            if time.monotonic() - landed > PATIENCE:
                yield PATIENCE  # the sync does not keep up with the writes: every later one would wait longer
                return
            time.sleep(0.01)
        yield time.monotonic() - landed


def _commit_to_found() -> Iterator[Figure]:
    """The whole installation with the demo company: from a commit in Contacts to the API's answer."""
    from tests.stack import Stack

    stack = Stack()
    try:
        stack.up(demo=True)
        token = stack.token()
        with psycopg.connect(stack.config.service_url("contacts"), autocommit=True) as writer:
            accounts = [row[0] for row in writer.execute("select account_uuid from contacts.account limit 60")]
            eventually(lambda: _search(stack, token, "AC-000001"), timeout=300, what="the demo company is found")
            taken = sorted(_mark(stack, token, writer, account, n) for n, account in enumerate(accounts))
        how = f"{len(taken)} renames in contacts.account, asked for at GET /api/search (tantivy)"
        yield Figure.at_most("commit → found p95", round(taken[int(len(taken) * 0.95)], 2), 1, "s", how)
    finally:
        stack.close()


def _mark(stack: Any, token: str, writer: Connection, account: Any, number: int) -> float:
    word = _distinct(number)
    writer.execute(
        "update contacts.account set name = %s, version = version + 1 where account_uuid = %s", [word, account]
    )
    committed = time.monotonic()
    while not _search(stack, token, word):
        if time.monotonic() - committed > 60:
            raise RuntimeError("a rename was not found within a minute")
        time.sleep(0.01)
    return time.monotonic() - committed


def _distinct(seed: int | str) -> str:
    """A word that no other one of these is a typing mistake of."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=14))


def _search(stack: Any, token: str, q: str) -> int:
    status, answer, _ = stack.call("GET", f"/api/search?q={q}", token=token)
    return int(answer["total"]) if status == 200 else 0


def _bytes(place: Place | Path) -> int:
    root = place.directory if isinstance(place, Place) else place
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())

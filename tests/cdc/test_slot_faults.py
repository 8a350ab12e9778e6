"""What can go wrong with a slot, its server and its readers: nothing is lost, and each error says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from cdc.errors import (
    EpochMismatch,
    PublicationMismatch,
    SlotBlocked,
    SlotGap,
    SlotInUse,
    SlotMissing,
    SourceUnavailable,
)
from cdc.events import ChangeEvent
from cdc.positions import Position, format_lsn
from cdc.slots import copy_slot, create_slot, drop_slot, mark_for_failover, read_epoch, slot_state
from cdc.sources.slot import Limits, SlotSource
from headwater.embedded.postgres import OLTP, Cluster, ClusterError, free_port
from tests.cdc.database import Database, items_of, make_database, read_changes, read_until, wait_for


@pytest.fixture
def accounts(database: Database) -> Database:
    return _with_accounts(database)


def _with_accounts(database: Database) -> Database:
    database.run("create table account (id int primary key, name text)")
    database.publish("public.account")
    database.make_slot()
    return database


class Server:
    """A cluster that a test may stop, kill and start again; a commit that was told survives SIGKILL."""

    def __init__(self, root: Path) -> None:
        self.cluster = Cluster(
            "faults", root / f"faults-{free_port()}", free_port(), "postgres", OLTP | {"fsync": "off"}
        )
        self.cluster.init()
        self.process = self.cluster.start()

    def start(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self.process = self.cluster.start()
                return
            except ClusterError:
                # A killed server's children hold its shared memory until they notice.
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self, *, immediate: bool = False) -> None:
        self.cluster.stop(immediate=immediate)
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(cluster_root: Path) -> Iterator[Server]:
    made = Server(cluster_root)
    yield made
    made.stop(immediate=True)
    shutil.rmtree(made.cluster.root)


class Writer(threading.Thread):
    """Commits one row after the other, whatever becomes of the server; ``committed`` are those it was told of."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self.dsn = dsn
        self.committed: list[int] = []
        self.stopping = threading.Event()
        self.start()

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            try:
                with psycopg.connect(self.dsn, autocommit=True) as connection:
                    while not self.stopping.is_set():
                        number += 1
                        connection.execute("insert into account values (%s, 'x')", [number])
                        self.committed.append(number)
            except psycopg.OperationalError:
                self.stopping.wait(0.02)


def test_a_server_killed_while_it_is_read_loses_and_repeats_nothing_stored(server: Server, tmp_path: Path) -> None:
    accounts = _with_accounts(make_database(server.cluster, tmp_path / "spool"))
    source = accounts.source()
    source.start(None)
    writer = Writer(accounts.dsn)
    stored: Position | None = None
    seen: list[int] = []
    errors: list[str] = []
    kills = 0
    deadline = time.monotonic() + 60
    while not (writer.stopping.is_set() and set(writer.committed) <= set(seen)):
        assert time.monotonic() < deadline, f"{len(writer.committed)} committed, {len(seen)} read, {kills} kills"
        try:
            batch = source.read(50, 0.2)
        except SourceUnavailable as error:
            errors.append(str(error))
            server.start()
            source.start(stored)
            continue
        if batch is None:
            continue
        seen += [int(item.key[0] or 0) for item in items_of([batch]) if isinstance(item, ChangeEvent)]
        stored = batch.position
        if len(seen) % 3 == 0:
            source.acknowledge(stored)
        # What was received before a kill is still read after it: the next kill waits until the last one was noticed.
        if kills < 2 and kills == len(errors) and len(seen) > 100 * (kills + 1):
            server.kill()
            kills += 1
        elif len(errors) == 2 and len(seen) > 300:
            writer.stopping.set()
            writer.join()
    source.close()
    assert len(errors) == 2
    assert all("Source test: the database is unavailable" in error for error in errors)
    assert len(seen) == len(set(seen))


def test_a_fast_shutdown_is_not_held_up_by_a_reader_that_stores_and_acknowledges(
    server: Server, tmp_path: Path
) -> None:
    accounts = _with_accounts(make_database(server.cluster, tmp_path / "spool"))
    source = accounts.source(limits=Limits(idle_seconds=3600))
    source.start(None)
    accounts.run("create table unrelated as select generate_series(1, 1000)")
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    _acknowledge_for_ever(source)
    stopping.join(20)
    assert not stopping.is_alive()
    source.close()
    server.start()
    assert source.epoch == read_epoch(accounts.dsn, accounts.slot)


def test_another_clusters_database_is_an_epoch_mismatch(accounts: Database, server: Server, tmp_path: Path) -> None:
    accounts.run("insert into account values (1, 'a')")
    source = accounts.source()
    source.start(None)
    position = read_until(source, lambda got: any(batch.changes for batch in got))[-1].position
    restored = _with_accounts(make_database(server.cluster, tmp_path / "other"))
    elsewhere = restored.source(slot=accounts.slot)
    create_slot(restored.dsn, accounts.slot)
    with pytest.raises(EpochMismatch, match=rf"{position.epoch.system_id}.*headwater repair test"):
        elsewhere.start(position)


def test_a_backup_restored_over_the_cluster_is_a_gap(server: Server, tmp_path: Path) -> None:
    """The same system id and timeline, but less WAL than the position that is stored."""
    accounts = _with_accounts(make_database(server.cluster, tmp_path / "spool"))
    server.stop()
    backup = server.cluster.root / "backup"
    shutil.copytree(server.cluster.data, backup, copy_function=shutil.copy2)
    server.start()
    accounts.run("insert into account select i, 'x' from generate_series(1, 1000) i")
    source = accounts.source()
    source.start(None)
    stored = read_until(source, lambda got: any(batch.changes for batch in got))[-1].position
    source.close()
    server.stop()
    shutil.rmtree(server.cluster.data)
    shutil.copytree(backup, server.cluster.data)
    for path in (server.cluster.data, *server.cluster.data.rglob("*")):
        server.cluster.account.own(path)
    server.start()
    with pytest.raises(SlotGap, match=r"beyond the end of the server's WAL.*headwater repair test"):
        source.start(stored)


def test_a_dropped_slot_is_named_with_what_may_be_gone(accounts: Database) -> None:
    accounts.run("insert into account values (1, 'a')")
    source = accounts.source()
    source.start(None)
    stored = read_until(source, lambda got: any(batch.changes for batch in got))[-1].position
    source.close()
    assert drop_slot(accounts.dsn, accounts.slot)
    assert not drop_slot(accounts.dsn, accounts.slot)
    assert slot_state(accounts.dsn, accounts.slot) is None
    with pytest.raises(
        SlotMissing, match=rf"{accounts.slot} does not exist.*{format_lsn(stored.lsn)}.*headwater repair"
    ):
        source.start(stored)


def test_an_absent_publication_is_told_before_anything_is_missed(accounts: Database) -> None:
    with pytest.raises(PublicationMismatch, match="Publication absent does not exist"):
        accounts.source(publications=[accounts.publication, "absent"]).start(None)


def test_a_slot_that_moved_past_the_stored_position_is_a_gap_with_both_ends(accounts: Database) -> None:
    source = accounts.source()
    source.start(None)
    accounts.run("insert into account values (1, 'a')")
    stored = read_until(source, lambda got: any(batch.changes for batch in got))[-1].position
    source.close()
    accounts.run("insert into account values (2, 'lost')")
    wait_for(lambda: _is_free(accounts), "the slot to be left")
    accounts.run(f"select pg_replication_slot_advance('{accounts.slot}', pg_current_wal_lsn())")
    with pytest.raises(SlotGap) as caught:
        source.start(stored)
    assert caught.value.gap_from == format_lsn(stored.lsn)
    assert caught.value.gap_to == accounts.confirmed_lsn()
    assert "headwater repair test" in str(caught.value)


def test_a_slot_dropped_and_made_anew_is_a_gap(accounts: Database) -> None:
    source = accounts.source()
    source.start(None)
    accounts.run("insert into account values (1, 'a')")
    stored = read_until(source, lambda got: any(batch.changes for batch in got))[-1].position
    source.close()
    drop_slot(accounts.dsn, accounts.slot)
    accounts.run("insert into account values (2, 'lost')")
    accounts.make_slot()
    with pytest.raises(SlotGap):
        source.start(stored)


def test_a_slot_whose_wal_was_removed_is_a_gap(server: Server, tmp_path: Path) -> None:
    accounts = _with_accounts(make_database(server.cluster, tmp_path / "spool"))
    server.stop()
    server.cluster.settings["max_slot_wal_keep_size"] = "1MB"
    server.start()
    for _ in range(3):
        accounts.run("select pg_logical_emit_message(false, 'fill', repeat('x', 1000000))", "select pg_switch_wal()")
    accounts.run("checkpoint")
    with pytest.raises(SlotGap, match=r"removed the WAL.*headwater repair test"):
        accounts.source().start(None)


def test_a_second_reader_is_told_who_holds_the_slot_and_gets_it_afterwards(accounts: Database) -> None:
    first = accounts.source()
    first.start(None)
    second = accounts.source(slot_timeout=0.2)
    state = slot_state(accounts.dsn, accounts.slot)
    assert state is not None
    with pytest.raises(SlotInUse, match=rf"process {state.active_pid}.*pg_terminate_backend\({state.active_pid}\)"):
        second.start(None)
    with pytest.raises(SlotInUse):
        drop_slot(accounts.dsn, accounts.slot, timeout=0.1)
    waiting = accounts.source(slot_timeout=20)
    starting = threading.Thread(target=waiting.start, args=(None,))
    starting.start()
    first.close()
    starting.join(20)
    accounts.run("insert into account values (1, 'a')")
    assert len(read_changes(waiting, 1)) == 1


def test_a_broken_connection_is_unavailable_and_can_be_resumed(accounts: Database) -> None:
    source = accounts.source()
    source.start(None)
    accounts.run("insert into account values (1, 'a')")
    stored = read_until(source, lambda got: any(batch.changes for batch in got))[-1].position
    state = slot_state(accounts.dsn, accounts.slot)
    assert state is not None
    accounts.run(f"select pg_terminate_backend({state.active_pid})", "insert into account values (2, 'b')")
    with pytest.raises(SourceUnavailable):
        read_changes(source, 2)
    source.acknowledge(stored)
    source.start(stored)
    assert [change.key for change in read_changes(source, 1)] == [("2",)]


def test_a_server_that_hangs_is_noticed_and_can_be_resumed(accounts: Database) -> None:
    """Its end of the connection stands, as behind a network that swallows packets: only silence tells."""
    source = accounts.source(limits=Limits(silence_seconds=1.0))
    source.start(None)
    (state,) = accounts.run(f"select active_pid from pg_replication_slots where slot_name = '{accounts.slot}'")
    os.kill(state[0], signal.SIGSTOP)
    try:
        with pytest.raises(SourceUnavailable, match="no answer for 1 s"):
            read_until(source, lambda got: False)
    finally:
        os.kill(state[0], signal.SIGCONT)
    source.close()
    accounts.run("insert into account values (1, 'after')")
    again = accounts.source()  # with time for a busy server, which this one is allowed to be
    again.start(None)
    assert [change.key for change in read_changes(again, 1)] == [("1",)]


def test_an_idle_server_that_answers_is_not_taken_for_a_hanging_one(accounts: Database) -> None:
    source = accounts.source(limits=Limits(idle_seconds=3600, silence_seconds=4.0))
    source.start(None)
    assert source.read(100, 6.0) is None


def test_an_absent_server_is_unavailable(accounts: Database, server: Server, tmp_path: Path) -> None:
    gone = _with_accounts(make_database(server.cluster, tmp_path / "spool"))
    server.stop(immediate=True)
    source = gone.source()
    with pytest.raises(SourceUnavailable, match="Source test"):
        source.start(None)
    server.start()
    source.start(None)
    source.close()


def test_a_slot_that_cannot_be_made_names_the_transactions_it_waits_for(accounts: Database) -> None:
    with psycopg.connect(accounts.dsn, application_name="long-report") as writer:
        writer.execute("insert into account values (1, 'open')")
        with pytest.raises(SlotBlocked, match="long-report, idle in transaction") as caught:
            create_slot(accounts.dsn, f"{accounts.slot}_late", timeout=5)
        assert caught.value.pids == (writer.info.backend_pid,)
    assert slot_state(accounts.dsn, f"{accounts.slot}_late") is None
    lsn = create_slot(accounts.dsn, f"{accounts.slot}_late", timeout=20)
    assert create_slot(accounts.dsn, f"{accounts.slot}_late") == lsn


def test_every_slot_is_one_that_a_standby_keeps(accounts: Database) -> None:
    marked = "select slot_name from pg_replication_slots where failover order by slot_name"
    slot = accounts.slot
    copy_slot(accounts.dsn, slot, f"{slot}_copy")
    accounts.run(f"select pg_create_logical_replication_slot('{slot}_old', 'pgoutput')")
    ours = {f"{slot}", f"{slot}_copy"}
    assert {name for (name,) in accounts.run(marked)} & {*ours, f"{slot}_old"} == ours
    source = accounts.source(slot=f"{slot}_old")
    source.start(None)
    assert not mark_for_failover(accounts.dsn, f"{slot}_old"), "somebody reads it"
    source.close()
    wait_for(lambda: mark_for_failover(accounts.dsn, f"{slot}_old"), "the slot to be free")
    assert {name for (name,) in accounts.run(marked)} >= {*ours, f"{slot}_old"}
    assert mark_for_failover(accounts.dsn, f"{slot}_old")
    assert not mark_for_failover(accounts.dsn, f"{slot}_absent")


def test_a_consumer_that_dies_before_acknowledging_reads_again_what_it_did_not_store(accounts: Database) -> None:
    for number in range(20):
        accounts.run(f"insert into account values ({number}, 'x')")
    stored: Position | None = None
    seen: list[str | None] = []
    while len(seen) < 20:
        source = accounts.source()
        source.start(stored)
        (batch,) = read_until(source, lambda got: any(batch.changes for batch in got), max_changes=3)
        source.read(3, 1)  # read on, then die: this batch was never stored
        seen += [item.key[0] for item in items_of([batch]) if isinstance(item, ChangeEvent)]
        stored = batch.position
        source.close()
    assert seen == [str(number) for number in range(20)]


def _acknowledge_for_ever(source: SlotSource) -> None:
    """Reads, "stores" and acknowledges until the server is gone."""
    with suppress(SourceUnavailable):
        while True:
            batch = source.read(100, 0.2)
            if batch is not None:
                source.acknowledge(batch.position)


def _is_free(database: Database) -> bool:
    state = slot_state(database.dsn, database.slot)
    return state is not None and state.active_pid is None

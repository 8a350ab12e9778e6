"""A PostgreSQL server with a standby that keeps copies of its slots, and takes its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from headwater.embedded.postgres import OLTP, Cluster, free_port
from tests.stack import eventually

SLOT = "standby"
SOMETHING_TO_READ = """select pg_logical_emit_message(true, 'headwater.audit', '{"command": "moves"}')"""


class Pair:
    """``primary`` on a port that the promoted standby takes over, as an address behind which servers change does.

    ``careful``: no consumer of a slot is given what the standby does not have yet.
    """

    def __init__(self, root: Path, *, careful: bool = True) -> None:
        number = free_port()
        self.primary = Cluster("primary", root / f"primary-{number}", number, "postgres", OLTP)
        self.primary.init()
        self._process = self.primary.start()
        with self.primary.connect() as connection:
            connection.execute("select pg_create_physical_replication_slot(%s, true)", [SLOT])
            if careful:
                connection.execute(f"alter system set synchronized_standby_slots = '{SLOT}'".encode())
                connection.execute("select pg_reload_conf()")
        following = {
            "hot_standby_feedback": "on",
            "sync_replication_slots": "on",
            "primary_slot_name": SLOT,
            "primary_conninfo": self.primary.dsn("postgres"),
        }
        self.standby = Cluster("standby", root / f"standby-{number}", free_port(), "postgres", OLTP | following)
        self._copy()
        self._standing_by = self.standby.start()

    def _copy(self) -> None:
        root, account = self.standby.root, self.standby.account
        root.mkdir(mode=0o700)
        account.own(root)
        command = [str(self.standby.bin / "pg_basebackup"), f"--pgdata={self.standby.data}", "--write-recovery-conf"]
        subprocess.run(
            [*command, f"--dbname={self.primary.dsn()}", "--checkpoint=fast", "--no-sync"],
            check=True,
            cwd=root,
            **account.switch,  # type: ignore[call-overload]
        )

    def keeps(self, database: str, slot: str) -> None:
        """Waits until the standby would have the database's slot if it were promoted.

        A slot is taken over once its reader has moved it, which needs something to read, and a record that the primary
        writes by itself four times a minute. A standby that finds nothing to copy looks again half a minute later.
        """
        query = "select count(*) from pg_replication_slots where slot_name = %s and synced and not temporary"
        with self.primary.connect(database) as connection, self.standby.connect() as standby:

            def there() -> bool:
                connection.execute("select pg_log_standby_snapshot()")
                connection.execute(SOMETHING_TO_READ)
                return standby.execute(query, [slot]).fetchone() == (1,)

            eventually(there, 180, f"{slot} on the standby")

    def follows(self) -> None:
        """Waits until the standby has what the primary has now."""
        with self.primary.connect() as connection, self.standby.connect() as standby:
            row = connection.execute("select pg_current_wal_flush_lsn()::text").fetchone()
            assert row is not None
            there = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
            eventually(lambda: standby.execute(there.encode(), row).fetchone() == (True,), 120, "the standby to follow")

    def receive_no_more(self) -> None:
        """The standby goes on without what the primary writes from now on, and keeps its copies of slots up to date."""
        with self.standby.connect() as standby:
            row = standby.execute("select pid from pg_stat_wal_receiver").fetchone()
        assert row is not None
        os.kill(row[0], signal.SIGSTOP)

    def crash_standby(self) -> None:
        """With all that it had not written yet."""
        self.standby.stop(immediate=True)
        self._standing_by.wait()

    def copied(self, slot: str) -> None:
        """Waits until the standby's copy of the slot stands where the slot does."""
        query = "select confirmed_flush_lsn from pg_replication_slots where slot_name = %s"
        with self.primary.connect() as connection, self.standby.connect() as standby:
            wanted = connection.execute(query, [slot]).fetchone()
            eventually(lambda: standby.execute(query, [slot]).fetchone() == wanted, 180, f"{slot} to be copied")

    def stop_following(self) -> None:
        self.standby.stop()
        self._standing_by.wait()

    def fail_over(self, *, address_kept: bool = True) -> Cluster:
        """Kills the primary, promotes the standby, and gives it the primary's address unless readers are to get its.

        It has the primary's settings, and must not go on waiting for a standby, which is now itself.
        """
        self._process.kill()
        self._process.wait()
        if self.standby.pid() is None:
            self._standing_by = self.standby.start()
        with self.standby.connect() as connection:
            assert connection.execute("select pg_promote()").fetchone() == (True,)
        self.stop_following()
        if address_kept:
            self.standby.port = self.primary.port
        self._standing_by = self.standby.start()
        with self.standby.connect() as connection:
            connection.execute("alter system reset synchronized_standby_slots")
            connection.execute("select pg_reload_conf()")
        return self.standby

    def close(self) -> None:
        for cluster, process in ((self.primary, self._process), (self.standby, self._standing_by)):
            cluster.stop(immediate=True)
            process.kill()
            process.wait()
            shutil.rmtree(cluster.root)

"""Backups cut short, damaged, too new, or sent where something stands: refused by name, and nothing is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headwater import ports
from headwater.supervisor.hold import held
from tests.stack import Stack, eventually

TAKE = ("backup.after_base", "backup.after_dump", "backup.before_manifest", "backup.before_rename")


@pytest.fixture(scope="module")
def backup(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good backup of the shared stack, with one account in it."""
    token = stack.token()
    body = {"name": "Kept Ltd", "account_type": "Customer"}
    assert stack.call("POST", "/api/contacts/accounts", body, token=token)[0] == 201
    target = tmp_path_factory.mktemp("backup") / "good"
    stack.run("backup", str(target))
    return target


@pytest.fixture
def copied(backup: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(backup, tmp_path / "copy"))


@pytest.fixture
def empty() -> Iterator[Stack]:
    other = Stack()
    yield other
    other.close()


def reseal(directory: Path, **changed: Any) -> None:
    """Changes the manifest as somebody would who knows how it is sealed."""
    manifest = json.loads((directory / "manifest.json").read_text()) | changed
    text = json.dumps(manifest).encode()
    (directory / "manifest.json").write_bytes(text)
    (directory / "manifest.sha256").write_text(hashlib.sha256(text).hexdigest() + "\n")


def test_a_good_backup_is_called_whole(stack: Stack, backup: Path) -> None:
    told = stack.run("backup", "--verify", str(backup)).stdout
    assert "is whole" in told
    assert "source headwater: exact at" in told


def test_nobody_else_reads_a_backup(backup: Path) -> None:
    """It holds passwords."""
    assert backup.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("point", TAKE)
def test_a_backup_that_was_killed_is_taken_for_none(stack: Stack, tmp_path: Path, point: str) -> None:
    target = tmp_path / "monday"
    armed = Stack(stack.home.root, {"HEADWATER_FAILPOINT": point})
    assert armed.run("backup", str(target), check=False).returncode == -signal.SIGKILL
    assert not target.exists()
    refused = stack.run("backup", "--verify", str(tmp_path / "monday.partial"), check=False)
    if point != "backup.before_rename":  # there the manifest stands, and everything that it names
        assert refused.returncode == 1
        assert "not finished" in refused.stderr


def test_after_a_killed_backup_the_next_one_is_whole_and_no_slot_is_left(stack: Stack, tmp_path: Path) -> None:
    target = tmp_path / "monday"
    armed = Stack(stack.home.root, {"HEADWATER_FAILPOINT": "backup.after_dump"})
    armed.run("backup", str(target), check=False)
    assert (tmp_path / "monday.partial").exists()
    with psycopg.connect(stack.config.service_url("contacts", role="postgres"), autocommit=True) as oltp:
        kept = "select count(*) from pg_replication_slots where slot_name = 'hw_backup'"
        eventually(lambda: oltp.execute(kept).fetchone() == (0,), 10, "the killed backup keeps no WAL")
    stack.run("backup", str(target))
    assert "is whole" in stack.run("backup", "--verify", str(target)).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["monday"]


def test_a_directory_that_is_no_leftover_of_ours_is_left_alone(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "monday.partial").mkdir()
    (tmp_path / "monday.partial" / "precious").write_text("mine")
    refused = stack.run("backup", str(tmp_path / "monday"), check=False)
    assert refused.returncode == 1
    assert "stands in the way" in refused.stderr
    assert (tmp_path / "monday.partial" / "precious").read_text() == "mine"


def test_nothing_that_exists_is_overwritten(stack: Stack, backup: Path) -> None:
    refused = stack.run("backup", str(backup), check=False)
    assert refused.returncode == 1
    assert "never overwrites" in refused.stderr


def test_a_full_disk_leaves_no_backup(stack: Stack, tmp_path: Path) -> None:
    """A limit on the size of files stands for it: PostgreSQL's program, which writes first, does not survive it."""
    full = tmp_path / "full"
    full.mkdir()
    script = f"ulimit -f 512; exec {sys.executable} -m headwater backup {full / 'monday'}"  # half a megabyte a file
    done = subprocess.run(["bash", "-c", script], env=stack.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"pg_basebackup failed: it ended with {-signal.SIGXFSZ}" in done.stderr
    assert not (full / "monday").exists()


def test_a_corrupted_file_is_named_and_nothing_is_restored(copied: Path, empty: Stack) -> None:
    base = copied / "oltp" / "base.tar.gz"
    content = bytearray(base.read_bytes())
    content[len(content) // 2] ^= 0xFF
    base.write_bytes(content)
    for command in (("backup", "--verify"), ("restore",)):
        refused = empty.run(*command, str(copied), check=False)
        assert refused.returncode == 1
        assert "oltp/base.tar.gz is corrupted" in refused.stderr
    assert not empty.home.root.exists()


def test_a_missing_and_a_foreign_file_are_named(copied: Path, empty: Stack) -> None:
    (copied / "warehouse" / "roles.sql").unlink()
    (copied / "home" / "intruder").write_text("x")
    refused = empty.run("restore", str(copied), check=False)
    assert refused.returncode == 1
    assert "warehouse/roles.sql is missing" in refused.stderr
    assert "home/intruder does not belong" in refused.stderr


def test_a_changed_manifest_is_refused(copied: Path, empty: Stack) -> None:
    manifest = copied / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"exact": true', '"exact": false'))
    refused = empty.run("restore", str(copied), check=False)
    assert refused.returncode == 1
    assert "was changed after the backup was taken" in refused.stderr


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"format": 99}, "format 99"),
        ({"postgres": "99.1"}, "PostgreSQL 99.1"),
        ({"migrations": {"warehouse": ["9999_future.sql"], "contacts": []}}, "9999_future.sql"),
        ({"migrations": {"warehouse": [], "contacts": ["contacts.0999_future"]}}, "contacts.0999_future"),
    ],
)
def test_a_backup_of_a_newer_version_is_refused(
    copied: Path, empty: Stack, changed: dict[str, Any], words: str
) -> None:
    reseal(copied, **changed)
    refused = empty.run("restore", str(copied), check=False)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert not empty.home.config.exists()


def test_what_is_no_backup_is_refused(tmp_path: Path, empty: Stack) -> None:
    (tmp_path / "letter.tar").write_text("Dear sir,")
    for source, words in (
        (tmp_path / "letter.tar", "no backup"),
        (tmp_path, "no backup"),
        (tmp_path / "x", "not exist"),
    ):
        refused = empty.run("restore", str(source), check=False)
        assert refused.returncode == 1
        assert words in refused.stderr


def test_a_running_home_is_not_restored_into(stack: Stack, backup: Path) -> None:
    refused = stack.run("restore", str(backup), check=False)
    assert refused.returncode == 1
    assert "Headwater runs in" in refused.stderr


def test_a_home_with_anything_in_it_is_not_restored_into(backup: Path, empty: Stack) -> None:
    empty.home.root.mkdir(parents=True)
    (empty.home.root / "notes.txt").write_text("mine")
    refused = empty.run("restore", str(backup), check=False)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert (empty.home.root / "notes.txt").read_text() == "mine"


def test_a_backup_needs_a_running_system(tmp_path: Path, empty: Stack) -> None:
    refused = empty.run("backup", str(tmp_path / "monday"), check=False)
    assert refused.returncode == 1
    assert "start it with `headwater up`" in refused.stderr


def test_a_service_in_a_cluster_of_its_own_is_named(stack: Stack, tmp_path: Path) -> None:
    elsewhere = Stack(stack.home.root, {"HEADWATER_DB_FINANCE": "postgresql://db.example.org:5432/finance"})
    refused = elsewhere.run("backup", str(tmp_path / "monday"), check=False)
    assert refused.returncode == 1
    assert "finance lives in a cluster of its own at db.example.org:5432" in refused.stderr


def test_one_file_restores_onto_other_ports_and_a_killed_restore_is_begun_anew(
    stack: Stack, tmp_path: Path, empty: Stack
) -> None:
    """The first system still runs, so every port of its configuration is taken."""
    target = tmp_path / "monday.tar"
    stack.run("backup", str(target))
    assert target.is_file()
    assert target.stat().st_mode & 0o077 == 0
    for point in ("restore.after_clusters", "restore.before_config"):
        armed = Stack(empty.home.root, {"HEADWATER_FAILPOINT": point})
        assert armed.run("restore", str(target), check=False).returncode == -signal.SIGKILL
        refused = empty.run("up", "--detach", check=False)
        assert refused.returncode == 1
        assert "was not finished" in refused.stderr
    empty.run("restore", str(target))
    taken, chosen = ports.of(stack.config), ports.of(empty.config)
    assert not set(taken.values()) & set(chosen.values())
    assert stack.config.passwords == empty.config.passwords


def test_a_position_of_another_history_is_not_taken_for_ours(stack: Stack, tmp_path: Path) -> None:
    """Landing has stopped at a gap that nobody repaired: its stored LSN may be larger than any of this cluster's."""
    with held(stack.home, "landing"), psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        stored = warehouse.execute("select timeline, lsn::text from log.position").fetchone()
        assert stored is not None
        warehouse.execute("update log.position set timeline = 99, lsn = 'FF/0'")
        try:
            told = stack.run("backup", "--wait", "1", str(tmp_path / "monday")).stdout
        finally:
            warehouse.execute("update log.position set timeline = %s, lsn = %s", stored)
    assert "to be read again when restored: its landing had stopped at another history" in told


def test_a_warehouse_that_is_behind_is_said_and_read_again(stack: Stack, tmp_path: Path, empty: Stack) -> None:
    """Landing stands still: what was acknowledged is in the OLTP's copy, and the mirror catches up by reading again."""
    target = tmp_path / "monday"
    with held(stack.home, "landing"):
        body = {"name": "Late Ltd", "account_type": "Customer"}
        assert stack.call("POST", "/api/contacts/accounts", body, token=stack.token())[0] == 201
        told = stack.run("backup", "--wait", "1", str(target)).stdout
    assert "to be read again when restored: the warehouse" in told
    assert "its tables are read again" in empty.run("restore", str(target)).stdout
    empty.up()

    def both() -> list[tuple[Any, ...]]:
        where = empty.config
        with (
            psycopg.connect(where.service_url("contacts", role="postgres")) as contacts,
            psycopg.connect(where.warehouse_url()) as warehouse,
        ):
            query = "select account_uuid, name, version from {} where {} order by 1"
            source = contacts.execute(query.format("contacts.account", "true").encode()).fetchall()
            mirror = warehouse.execute(query.format("raw_contacts.account", "not _deleted").encode()).fetchall()
        return [("Late Ltd" in {name for _, name, _ in source},)] if source == mirror else []

    assert eventually(both, 60, "mirror = source") == [(True,)]
    eventually(lambda: empty.run("doctor", check=False).returncode == 0, 30, "doctor is content")

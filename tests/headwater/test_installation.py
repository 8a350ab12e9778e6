"""Ports, homes and leftovers, with real sockets, clusters and processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import config, installation, ports, proc
from headwater.config import ConfigError
from headwater.embedded.account import SHARED_ROOT, unprivileged_account
from headwater.embedded.probe import accepts
from headwater.state import Home, read_json, write_json
from headwater.supervisor.lock import Lock


@pytest.fixture
def home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="headwater-home-"))
    root.chmod(0o711)
    yield Home(root / "state")
    shutil.rmtree(root, ignore_errors=True)


def listen(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_ports_are_remembered_while_they_are_free(home: Home) -> None:
    first, said = installation.open_or_create(home)
    assert said == []
    assert len(set(ports.of(first).values())) == 4
    again, said = installation.open_or_create(home)
    assert again == first
    assert said == []


def test_a_port_taken_by_somebody_else_is_chosen_anew_and_said(home: Home) -> None:
    first, _ = installation.open_or_create(home)
    with listen(first.oltp.port):
        moved, said = installation.open_or_create(home)
    assert moved.oltp.port != first.oltp.port
    assert moved.warehouse == first.warehouse
    assert moved.passwords == first.passwords
    assert len(said) == 1
    assert str(first.oltp.port) in said[0]
    assert str(moved.oltp.port) in said[0]
    assert config.read(home.root) == moved


def test_a_chosen_port_is_nobody_elses_before_anything_listens_on_it(home: Home) -> None:
    mine, theirs = ports.Claims(), ports.Claims()
    settings, _ = installation.open_or_create(home, mine)
    assert ports.is_free(settings.web_port)
    assert not theirs.claim(settings.web_port)
    moved, said = installation.open_or_create(home, theirs)
    assert not set(ports.of(moved).values()) & set(ports.of(settings).values())
    assert len(said) == 4
    mine.release()
    assert theirs.claim(settings.web_port)
    theirs.release()


def test_two_checkouts_want_different_ports(home: Home) -> None:
    other = Home(home.root.with_name("other"))
    mine, _ = installation.open_or_create(home)
    theirs, _ = installation.open_or_create(other)
    assert mine.oltp.port != theirs.oltp.port
    assert mine.warehouse.port != theirs.warehouse.port


def test_the_configuration_is_for_its_owner_alone(home: Home) -> None:
    installation.open_or_create(home)
    assert home.config.stat().st_mode & 0o777 == 0o600


def test_a_role_that_a_newer_version_knows_gets_a_password(home: Home) -> None:
    first, _ = installation.open_or_create(home)
    raw = read_json(home.config)
    del raw["passwords"]["wh_api"]
    write_json(home.config, raw)
    again, _ = installation.open_or_create(home)
    assert again.passwords["wh_api"]
    assert again.passwords["wh_owner"] == first.passwords["wh_owner"]


def test_data_without_their_passwords_are_never_thrown_away(home: Home) -> None:
    installation.open_or_create(home)
    (home.clusters / "oltp").mkdir()
    home.config.unlink()
    with pytest.raises(ConfigError, match=r"passwords of the data.*--erase"):
        installation.open_or_create(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_where_the_account_cannot_pass_the_data_go_to_a_shared_place_and_stay_there(home: Home) -> None:
    home.root.parent.chmod(0o700)
    account = unprivileged_account()
    home.create(account)
    place = home.clusters.resolve()
    assert place.parent == SHARED_ROOT
    assert account.can_reach(place)
    home.root.parent.chmod(0o711)
    home.create(account)
    assert home.clusters.resolve() == place
    home.erase()
    assert not place.exists()


def test_one_supervisor_a_home_and_a_killed_one_leaves_no_lock(home: Home) -> None:
    home.create(unprivileged_account())
    lock = Lock(home.run)
    script = f"""
import sys, time
from pathlib import Path
from headwater.supervisor.lock import Lock
lock = Lock(Path({str(home.run)!r}))
print(lock.acquire(), flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "True"
    assert not lock.acquire()
    assert lock.holder() == holder.pid
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert lock.holder() is None
    assert lock.acquire()
    lock.release()


def test_what_a_killed_run_left_behind_is_ended(home: Home) -> None:
    settings, _ = installation.open_or_create(home)
    oltp, _ = installation.clusters(home, settings)
    oltp.init()
    server = oltp.start()
    worker = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env=dict(os.environ) | {proc.MARK: str(home.root)},
        start_new_session=True,
    )
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env=dict(os.environ) | {proc.MARK: str(home.root) + "-other"},
        start_new_session=True,
    )
    said = installation.stop_leftovers(home)
    assert len(said) == 2
    assert worker.wait(5) == -signal.SIGTERM
    assert server.wait(5) == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert installation.stop_leftovers(home) == []


def test_a_postmaster_killed_with_its_lock_file_left_starts_again(home: Home) -> None:
    settings, _ = installation.open_or_create(home)
    oltp, _ = installation.clusters(home, settings)
    oltp.init()
    server = oltp.start()
    server.kill()
    server.wait()
    # After a loss of power any process may have the number in the file; here it is this test's own.
    lines = (oltp.data / "postmaster.pid").read_text().splitlines()
    (oltp.data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    installation.stop_leftovers(home)
    again = oltp.start()
    assert accepts(oltp.port)
    oltp.stop()
    assert again.wait(5) == 0
    assert not accepts(oltp.port)

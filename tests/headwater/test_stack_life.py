"""The life of a whole installation: start, kills of each process and of the supervisor, stop, neighbours."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from headwater import installation, proc
from headwater.embedded.account import Account
from headwater.state import PROJECT, Home, read_json, write_json
from tests.stack import Stack, eventually

PROCESSES = ("oltp", "warehouse", "web", "landing", "dispatch", "jobs", "refresh")


def remains(home: Home) -> list[int]:
    """Processes of the installation that live."""
    clusters = [path / "data" for path in home.clusters.resolve().iterdir()]
    return proc.marked(home.root) + [pid for data in clusters for pid in proc.working_in(data)]


def test_starting_twice_shows_the_way_and_starts_nothing(stack: Stack) -> None:
    before = stack.supervisor()
    said = stack.up()
    assert f"already runs here (process {before})" in said
    assert stack.url in said
    assert stack.supervisor() == before
    assert stack.healthy()


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_is_back_and_the_others_live_on(stack: Stack, name: str) -> None:
    killed = stack.kill(name)
    eventually(lambda: stack.pid(name) not in (None, killed), what=f"{name} runs again")
    eventually(stack.healthy, what="the API answers")
    eventually(lambda: all(stack.pid(other) for other in PROCESSES), what="every process runs")


def test_a_killed_supervisor_takes_everything_along_and_a_start_mends_it(stack: Stack) -> None:
    stack.kill("supervisor")
    eventually(lambda: not remains(stack.home), what="no process outlives its supervisor")
    log = stack.home.log("oltp").read_text()
    assert log.rstrip().endswith("database system is shut down"), "PostgreSQL was stopped, not killed"
    stack.up()
    assert stack.healthy()


def test_a_killed_run_whose_children_hang_is_cleared_by_the_next_start(stack: Stack) -> None:
    hung = stack.pid("landing")
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    stack.kill("supervisor")
    stack.up()
    assert not proc.alive(hung)
    assert stack.healthy()


def test_stopping_is_ordered_complete_and_repeatable(stack: Stack) -> None:
    assert "Headwater is stopped." in stack.down()
    log = stack.home.log("supervisor").read_text().splitlines()
    order = [line.split("stopping: stopping ")[1] for line in log if "stopping: " in line][-4:]
    assert order == ["web", "jobs, dispatch", "landing, refresh, search, lake", "warehouse, oltp"]
    assert not remains(stack.home)
    assert "does not run" in stack.down()
    status = stack.run("status", "--json", check=False)
    assert status.returncode == 3
    stack.up()
    assert stack.healthy()


@pytest.fixture(scope="module")
def neighbour(stack: Stack) -> Iterator[Stack]:
    """A second, stopped installation with the first one's data, as a copied checkout has it."""
    other = Stack()
    stack.down()
    # PostgreSQL's files belong to its account; cp -a keeps that.
    subprocess.run(["cp", "-a", str(stack.home.root), str(other.home.root)], check=True)
    stack.up()
    yield other
    other.close()


def test_two_checkouts_run_side_by_side(stack: Stack, neighbour: Stack) -> None:
    said = neighbour.up()
    assert "is taken by another program; web moved to" in said
    assert stack.healthy()
    assert neighbour.healthy()
    assert stack.url != neighbour.url
    neighbour.kill("supervisor")
    eventually(lambda: not remains(neighbour.home))
    assert stack.healthy()
    neighbour.down()
    assert stack.healthy()


def test_ctrl_c_stops_everything(neighbour: Stack) -> None:
    foreground = subprocess.Popen(
        [sys.executable, "-m", "headwater", "up", "--no-demo"],
        cwd=PROJECT,
        env=neighbour.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert foreground.stdout is not None
    for line in foreground.stdout:
        if "Ctrl-C stops everything" in line:
            break
    assert neighbour.healthy()
    foreground.send_signal(signal.SIGINT)
    rest = foreground.stdout.read()
    assert foreground.wait(60) == 0
    foreground.stdout.close()
    assert "Headwater is stopped." in rest
    assert not remains(neighbour.home)


def test_a_foreground_run_that_is_killed_leaves_nothing_running(neighbour: Stack) -> None:
    foreground = subprocess.Popen(
        [sys.executable, "-m", "headwater", "up", "--no-demo"],
        cwd=PROJECT,
        env=neighbour.environment,
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: neighbour.home.config.exists() and neighbour.pid("web") and neighbour.healthy(), timeout=120)
    foreground.kill()
    foreground.wait()
    eventually(lambda: neighbour.supervisor() is None and not remains(neighbour.home), timeout=60)


def test_a_start_killed_again_and_again_is_completed_by_the_next(neighbour: Stack) -> None:
    prepared = read_json(neighbour.home.prepared)
    write_json(neighbour.home.prepared, prepared | {"databases": "of another version"})
    try:
        for point in ("before_clusters", "before_prepare", "after_prepare", "before_workers", "running"):
            neighbour.environment["HEADWATER_FAILPOINT"] = f"supervisor.{point}"
            neighbour.run("up", "--detach", "--no-demo", check=False)
            eventually(lambda: neighbour.supervisor() is None, what=f"killed at {point}")
            if point in ("before_clusters", "before_prepare"):
                assert read_json(neighbour.home.prepared) != prepared
    finally:
        del neighbour.environment["HEADWATER_FAILPOINT"]
    neighbour.up()
    assert neighbour.healthy()
    assert read_json(neighbour.home.prepared) == prepared
    neighbour.down()


def test_a_database_killed_while_it_is_prepared_only_takes_longer(neighbour: Stack) -> None:
    prepared = read_json(neighbour.home.prepared)
    write_json(neighbour.home.prepared, prepared | {"databases": "of another version"})
    start = subprocess.Popen(
        [sys.executable, "-m", "headwater", "up", "--detach", "--no-demo"], cwd=PROJECT, env=neighbour.environment
    )
    eventually(lambda: read_json(neighbour.home.supervisor).get("stage") == "preparing the databases")
    neighbour.kill("oltp")
    assert start.wait(120) == 0
    assert neighbour.healthy()
    assert read_json(neighbour.home.prepared) == prepared
    neighbour.down()


def test_a_stop_killed_half_way_is_completed_by_the_next(neighbour: Stack) -> None:
    neighbour.environment["HEADWATER_FAILPOINT"] = "supervisor.stopping"
    try:
        neighbour.up()
        neighbour.run("down", check=False)
    finally:
        del neighbour.environment["HEADWATER_FAILPOINT"]
    assert neighbour.supervisor() is None
    neighbour.down()
    assert not remains(neighbour.home)


def test_a_warehouse_that_cannot_start_delays_no_write(neighbour: Stack) -> None:
    settings = neighbour.home.clusters / "warehouse" / "data" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("no_such_setting = 1\n")
    said = neighbour.up()
    assert "PostgreSQL (warehouse) ended at start" in said
    assert "Writes go on without the warehouse" in said
    body = {"name": "Written without a warehouse", "account_type": "Customer"}
    status, account, _ = neighbour.call("POST", "/api/contacts/accounts", body, token=neighbour.token())
    assert status == 201

    settings.write_text(before)
    supervisor = neighbour.supervisor()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGUSR1)
    eventually(lambda: neighbour.pid("warehouse"))
    eventually(lambda: landed(neighbour, account["account_uuid"]), timeout=60)
    neighbour.down()


def landed(stack: Stack, account: str) -> bool:
    try:
        with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
            found = warehouse.execute("select from raw_contacts.account where account_uuid = %s", [account])
            return found.fetchone() is not None
    except psycopg.OperationalError:
        return False


def test_marts_that_cannot_be_built_delay_no_write(neighbour: Stack) -> None:
    neighbour.up()
    superuser = neighbour.config.warehouse_url("postgres")
    with psycopg.connect(superuser, autocommit=True) as warehouse:
        warehouse.execute("alter table marts.dim_date owner to postgres")
    neighbour.down()
    prepared = read_json(neighbour.home.prepared)
    write_json(neighbour.home.prepared, prepared | {"marts": "of another version"})
    said = neighbour.up()
    assert "Preparing the marts failed" in said
    assert "dim_date" in said
    assert neighbour.healthy()
    assert "headwater down && headwater up" in neighbour.run("doctor", check=False).stdout

    with psycopg.connect(neighbour.config.warehouse_url("postgres"), autocommit=True) as warehouse:
        warehouse.execute("alter table marts.dim_date owner to wh_owner")
    write_json(neighbour.home.prepared, prepared)
    neighbour.down()


def python_for(user: pwd.struct_passwd) -> tuple[str, dict[str, str]] | None:
    """An interpreter that ``user`` may run with this environment's packages, and what it needs to find them.

    The environment's own interpreter may lie below a private home directory; one of the system's with the same
    version does as well.
    """
    account = Account(user.pw_name, user.pw_uid, user.pw_gid)
    if account.can_reach(Path(sys.executable).resolve()):
        return sys.executable, {}
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    return (found, {"PYTHONPATH": packages}) if found else None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else; others are no root already")
def test_an_ordinary_user_runs_it(neighbour: Stack) -> None:
    nobody = pwd.getpwnam("nobody")
    python = python_for(nobody)
    if python is None:
        pytest.skip("no interpreter of this version that the user nobody may run")
    subprocess.run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", str(neighbour.home.root.parent)], check=True)

    def headwater(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python[0], "-m", "headwater", *arguments],
            cwd=PROJECT,
            env=neighbour.environment | python[1] | {"HOME": str(neighbour.home.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
        )

    started = headwater("up", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    assert neighbour.healthy()
    for name in PROCESSES:
        pid = neighbour.pid(name)
        assert pid is not None
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
    assert headwater("status").returncode == 0
    assert headwater("down").returncode == 0
    assert not remains(neighbour.home)


def test_a_start_that_fails_says_why_and_leaves_nothing_running() -> None:
    broken = Stack()
    try:
        settings, _ = installation.open_or_create(broken.home)
        oltp, _ = installation.clusters(broken.home, settings)
        oltp.init()
        (oltp.data / "postgresql.conf").write_text("no_such_setting = 1\n")
        started = broken.run("up", "--detach", check=False)
        assert started.returncode == 1
        assert "PostgreSQL (oltp) ended at start" in started.stderr
        assert "no_such_setting" in started.stderr
        assert not remains(broken.home)
    finally:
        broken.close()


def test_erasing_needs_a_yes_and_leaves_nothing() -> None:
    root = Path(tempfile.mkdtemp(prefix="headwater-erase-"))
    root.chmod(0o711)
    try:
        stack = Stack(root / "state")
        installation.open_or_create(stack.home)
        refused = stack.run("down", "--erase", check=False)
        assert refused.returncode == 1
        assert "nothing was deleted" in refused.stderr
        assert stack.home.config.exists()
        stack.run("down", "--erase", "--yes")
        assert not stack.home.root.exists()
    finally:
        shutil.rmtree(root)

"""One process may host any subset of the services."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest

from headwater import ports
from headwater.state import PROJECT
from tests.stack import Stack, eventually


@pytest.fixture
def contacts_alone(stack: Stack) -> Iterator[str]:
    """The base address of a process that hosts contacts alone, on the databases of the running system."""
    claims = ports.Claims()
    port = ports.choose(stack.home.root, "contacts alone", claims)
    claims.release()
    process = subprocess.Popen(
        [sys.executable, "-m", "headwater", "serve", "contacts", "--port", str(port)],
        cwd=PROJECT,
        env=stack.environment,
    )
    base = f"http://127.0.0.1:{port}"
    eventually(lambda: answer(f"{base}/healthz")[0] == 200)
    yield base
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def answer(url: str, token: str = "") -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return found.status, json.loads(found.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, {}


def test_a_process_hosts_one_service_and_no_other(stack: Stack, contacts_alone: str) -> None:
    assert answer(f"{contacts_alone}/healthz")[1]["services"] == ["contacts"]
    token = stack.token()
    assert answer(f"{contacts_alone}/api/contacts/accounts", token)[0] == 200
    assert answer(f"{contacts_alone}/api/finance/account-profiles", token)[0] == 404
    paths = answer(f"{contacts_alone}/api/openapi.json")[1]["paths"]
    assert isinstance(paths, dict)
    readers = {"360", "search"}  # the read side's own, which every process answers
    assert {path.split("/")[2] for path in paths} - readers == {"contacts"}


def test_two_processes_never_share_a_port(stack: Stack) -> None:
    refused = stack.run("serve", "contacts", "--port", str(stack.config.web_port), check=False)
    assert refused.returncode == 1
    assert f"port {stack.config.web_port} is taken" in refused.stderr


def test_a_service_that_does_not_exist_is_named(stack: Stack) -> None:
    refused = stack.run("serve", "contcats", check=False)
    assert refused.returncode == 1
    assert "there is no service contcats; there are identity, contacts" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_worker_that_does_not_exist_is_named(stack: Stack) -> None:
    refused = stack.run("work", "digging", check=False)
    assert refused.returncode == 2
    assert "landing" in refused.stderr


def test_a_token_is_for_a_user_that_exists(stack: Stack) -> None:
    refused = stack.run("token", "--user", "nobody-of-that-name", check=False)
    assert refused.returncode == 1
    assert "nobody-of-that-name" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_commands_that_need_a_running_system_say_so() -> None:
    idle = Stack()
    try:
        for command in (("token", "--user", "admin"), ("demo",), ("import", "adventureworks", "--from", "/nowhere")):
            refused = idle.run(*command, check=False)
            assert refused.returncode == 1
            assert "start it with `headwater up`" in refused.stderr
    finally:
        idle.close()


def test_files_that_are_absent_are_named(stack: Stack) -> None:
    refused = stack.run("import", "adventureworks", "--from", "/nowhere", check=False)
    assert refused.returncode == 1
    assert "/nowhere" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_analyst_logs_in_with_sql_until_removed(stack: Stack) -> None:
    address = stack.run("analyst", "add", "ann", "--user", "admin").stdout.strip()
    with psycopg.connect(address) as connection:
        assert connection.execute("select session_user::text").fetchone() == ("ann",)
    assert "no active user 'ghost'" in stack.run("analyst", "add", "ghost", check=False).stderr
    stack.run("analyst", "remove", "ann")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)
    assert "no analyst 'ann'" in stack.run("analyst", "remove", "ann", check=False).stderr

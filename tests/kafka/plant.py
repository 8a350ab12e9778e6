"""A broker and two Connect workers with Debezium, real and native, in a directory and on ports of their own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from headwater.embedded.postgres import free_port
from headwater.kafka.broker import Broker
from headwater.kafka.connect import Worker, secret
from headwater.kafka.distribution import distribution
from headwater.supervisor.child import Child
from headwater.supervisor.run import tail
from tests.kafka.registry import Registry
from tests.stack import eventually

READY = 180.0
"""Seconds for a process to be ready: a killed broker waits for its registration to expire, a killed worker's
successor for the group."""

WORKERS = ("connect-1", "connect-2")


class Plant:
    """Processes are named ``broker``, ``connect-1``, ``connect-2`` and, once asked for, ``registry``."""

    def __init__(self, root: Path, *, exactly_once: bool = False) -> None:
        self.root = root
        self.secrets = root / "secrets"
        jars = distribution()
        # Files of a killed process survive it; only a loss of power asks for more, and no test loses power.
        lazily = {"log.flush.interval.messages": 2**63 - 1}
        self.broker = Broker(root / "broker", free_port(), free_port(), jars, lazily, quick=True)
        self.workers = {
            name: Worker(
                name,
                root / name,
                free_port(),
                self.bootstrap,
                self.secrets,
                jars,
                exactly_once=exactly_once,
                heap_mb=256,
                quick=True,
            )
            for name in WORKERS
        }
        self.registry = Registry(root / "registry", free_port(), jars)
        self.children: dict[str, Child] = {}

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @property
    def connect_url(self) -> str:
        """The REST interface of a worker that runs."""
        return next(worker.url for name, worker in self.workers.items() if self.alive(name))

    @property
    def topics(self) -> dict[str, int]:
        """Topic → number of partitions, as the broker has them now."""
        found = self.admin.list_topics(timeout=10).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    @property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})

    def create_topics(self, **partitions: int) -> None:
        """Makes topics, and waits until the broker, not the controller alone, knows of them.

        Underscores in a name stay underscores, so dotted names go through ``**{"a.b": 4}``.
        """
        admin = self.admin  # lives until its answers are there
        for result in admin.create_topics([NewTopic(name, number, 1) for name, number in partitions.items()]).values():
            result.result(timeout=20)
        eventually(
            lambda: partitions.keys() <= self.topics.keys(), 20, f"the broker to know of {', '.join(partitions)}"
        )

    def delete_topics(self, names: Sequence[str]) -> None:
        admin = self.admin
        for result in admin.delete_topics(list(names)).values():
            result.result(timeout=20)

    def secret(self, name: str, value: str) -> str:
        """Stores a secret for the workers; returns what a connector's definition says instead of it."""
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.secrets / name).write_text(value)
        return secret(self.secrets, name)

    def up(self) -> None:
        """Starts broker and workers and waits until all answer."""
        self.start("broker")
        self.start(*WORKERS)

    def start(self, *names: str) -> None:
        """Starts the processes, which do not run, at once, and waits until each is healthy."""
        for name in names:
            program = self._program(name)
            program.prepare()
            child = Child(program.spec(self.root / f"{name}.log", {}))
            self.children[name] = child
            child.start()
        for name in names:
            self._await(name)

    def stop(self, *names: str) -> None:
        """Asks them to end, in good order, and waits."""
        for name in names:
            self.children[name].ask_to_stop()
        for name in names:
            self.children.pop(name).stop()

    def kill(self, name: str) -> None:
        """SIGKILL; nobody starts it again by itself."""
        child = self.children.pop(name)
        assert child.pid is not None, f"{name} does not run"
        os.kill(child.pid, signal.SIGKILL)
        child.stop()

    def restart(self, name: str) -> None:
        """Starts it again, stopped in good order before if it runs."""
        if self.alive(name):
            self.stop(name)
        self.start(name)

    def alive(self, name: str) -> bool:
        child = self.children.get(name)
        return child is not None and child.process is not None and child.process.poll() is None

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        for name in ("registry", *WORKERS, "broker"):
            if name in self.children:
                self.kill(name)

    def _program(self, name: str) -> Any:
        return {"broker": self.broker, "registry": self.registry, **self.workers}[name]

    def _await(self, name: str) -> None:
        child, deadline = self.children[name], time.monotonic() + READY
        while not self._program(name).healthy():
            assert self.alive(name), f"{name} ended at start:\n{tail(child.spec, 40)}"
            assert time.monotonic() < deadline, f"{name} is not ready after {READY:.0f} s:\n{tail(child.spec, 40)}"
            time.sleep(0.05)


@contextmanager
def planted(*, exactly_once: bool = False) -> Iterator[Plant]:
    """Started, and gone afterwards with all its data."""
    root = Path(tempfile.mkdtemp(prefix="headwater-kafka-"))
    made = Plant(root, exactly_once=exactly_once)
    try:
        made.up()
        yield made
    finally:
        made.close()
        shutil.rmtree(root, ignore_errors=True)

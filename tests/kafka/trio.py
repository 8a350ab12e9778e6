"""Three brokers that are one cluster, and a Connect worker, real and native: as docker-compose.kafka.yml has them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from headwater.embedded.postgres import free_port
from headwater.kafka.broker import Broker, new_cluster_id
from headwater.kafka.distribution import distribution
from tests.kafka.plant import Plant
from tests.stack import eventually

BROKERS = (1, 2, 3)
COPIES = {
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "min.insync.replicas": 2,
    "default.replication.factor": 3,
}


class Trio(Plant):
    """Processes are named ``broker-1`` to ``broker-3`` and ``connect-1``."""

    def __init__(self, root: Path) -> None:
        ports = {number: (free_port(), free_port()) for number in BROKERS}
        voters = ",".join(f"{number}@127.0.0.1:{controller}" for number, (_, controller) in ports.items())
        identity = new_cluster_id()
        self.brokers: dict[str, Broker] = {}
        for number, (port, controller) in ports.items():
            settings = COPIES | {"node.id": number, "controller.quorum.voters": voters}
            settings["log.flush.interval.messages"] = 2**63 - 1
            directory = root / f"broker-{number}"
            directory.mkdir(parents=True)
            (directory / "cluster.id").write_text(identity)
            made = Broker(directory, port, controller, distribution(), settings, heap_mb=192, quick=True)
            self.brokers[directory.name] = made
        super().__init__(root)
        copies = {f"{topic}.storage.replication.factor": 3 for topic in ("config", "offset", "status")}
        self.workers = {"connect-1": replace(self.workers["connect-1"], settings=copies)}

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.bootstrap for broker in self.brokers.values())

    def up(self) -> None:
        self.start(*self.brokers)
        eventually(lambda: len(self.admin.list_topics(timeout=10).brokers) == len(BROKERS), 90, "three brokers")
        self.start(*self.workers)

    def leader(self, topic: str, partition: int) -> str:
        """Which broker writes the partition."""
        return f"broker-{self.admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader}"

    def close(self) -> None:
        for name in list(self.children):
            self.kill(name)

    def _program(self, name: str) -> Any:
        return {**self.brokers, **self.workers}[name]


@contextmanager
def trio() -> Iterator[Trio]:
    """Started, and gone afterwards with all its data."""
    root = Path(tempfile.mkdtemp(prefix="headwater-brokers-"))
    made = Trio(root)
    try:
        made.up()
        yield made
    finally:
        made.close()
        shutil.rmtree(root, ignore_errors=True)

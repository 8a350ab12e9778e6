"""A Kafka broker that is its own controller (KRaft): made once, started by a supervisor, asked whether it answers."""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headwater.kafka.distribution import Distribution
from headwater.kafka.errors import KafkaError
from headwater.kafka.process import command, make_directory, spec, write_properties
from headwater.state import write_text
from headwater.supervisor.child import Spec

SETTINGS: dict[str, object] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    # Topics are made by name with a number of partitions; a mistyped one is an error and no new topic.
    "auto.create.topics.enable": "false",
    "num.partitions": 1,
    "offsets.topic.num.partitions": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    # The only copy: what a connector reports as delivered must survive a loss of power, as the slot moves on after it.
    "log.flush.interval.messages": 1,
    "log.cleaner.dedupe.buffer.size": 16777216,
    "log.cleaner.threads": 1,
    "num.network.threads": 2,
    "num.io.threads": 4,
    # A killed broker may come back once its registration has expired: 17 s by default, 8.5 s so.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
}

# ApiVersions request, version 0 (Kafka protocol guide): length, key 18, version, correlation id, no client id.
_ASK = struct.pack("!ihhih", 10, 18, 0, 1, -1)


@dataclass(frozen=True)
class Broker:
    """One broker on 127.0.0.1 with its data in ``directory``. ``settings`` go over those above."""

    directory: Path
    port: int
    controller_port: int
    jars: Distribution
    settings: Mapping[str, object] = field(default_factory=dict)
    heap_mb: int = 256
    quick: bool = False

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def properties(self) -> Path:
        return self.directory / "server.properties"

    def prepare(self) -> None:
        """Writes the settings, and on first use a new cluster id and the storage. Raises KafkaError."""
        make_directory(self.directory)
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}"
        own: dict[str, object] = {
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "log.dirs": self.data,
        }
        write_properties(self.properties, SETTINGS | own | dict(self.settings))
        if (self.data / "meta.properties").exists():
            return
        identity = self.directory / "cluster.id"
        if not identity.exists():
            write_text(identity, new_cluster_id())
        argv = self._java("kafka.tools.StorageTool", "format", "-t", identity.read_text(), "-c", self.properties)
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.directory)
        if done.returncode:
            raise KafkaError(f"Kafka's storage in {self.data} could not be made:\n{done.stdout}{done.stderr}")

    def spec(self, log: Path, environment: Mapping[str, str]) -> Spec:
        argv = self._java("kafka.Kafka", self.properties)
        return spec("broker", argv, self.directory, log, self.port, environment)

    def healthy(self) -> bool:
        return accepts(self.port)

    def _java(self, main: str, *arguments: str | Path) -> list[str]:
        return command(self.jars, main, *arguments, directory=self.directory, heap_mb=self.heap_mb, quick=self.quick)


def new_cluster_id() -> str:
    """22 characters. One in 64 would begin with a hyphen, which the tool that formats storage takes for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def accepts(port: int, host: str = "127.0.0.1", timeout: float = 2.0) -> bool:
    """Whether a broker answers there, asked without a driver."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(_ASK)
            answer = connection.recv(10)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack("!iih", answer)[1:] == (1, 0)

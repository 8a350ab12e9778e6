"""A Kafka Connect worker with Debezium on its class path; workers of one group share the connectors' tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headwater.kafka.distribution import Distribution
from headwater.kafka.process import answers, command, make_directory, spec, write_properties
from headwater.supervisor.child import Spec

SETTINGS: dict[str, object] = {
    "group.id": "headwater-connect",
    "config.storage.topic": "headwater.connect.configs",
    "config.storage.replication.factor": 1,
    "offset.storage.topic": "headwater.connect.offsets",
    "offset.storage.replication.factor": 1,
    "offset.storage.partitions": 1,
    "status.storage.topic": "headwater.connect.status",
    "status.storage.replication.factor": 1,
    "status.storage.partitions": 1,
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    # Scanning every class of the class path instead takes 27 s and 571 MB.
    "plugin.discovery": "service_load",
    "connector.client.config.override.policy": "All",
    # A killed worker's tasks run elsewhere after 6 s; by default nobody takes them over for another five minutes.
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 2000,
    "scheduled.rebalance.max.delay.ms": 0,
    # How far back a task starts after it was killed, and with it how many events arrive twice without exactly-once.
    "offset.flush.interval.ms": 1000,
    # A definition names its secrets, and a worker reads them here: neither REST nor the topic of definitions has them.
    "config.providers": "secrets",
    "config.providers.secrets.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
}


@dataclass(frozen=True)
class Worker:
    """One worker, its REST interface on 127.0.0.1:``port``.

    ``secrets`` is a directory with a file for each secret, which ``secret`` refers to. ``exactly_once`` spares readers
    the duplicates after a death and costs them latency (docs/decisions/0060); it must be the same for all workers of a
    group. ``settings`` go over those above.
    """

    name: str
    directory: Path
    port: int
    bootstrap: str
    secrets: Path
    jars: Distribution
    exactly_once: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    heap_mb: int = 384
    quick: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def properties(self) -> Path:
        return self.directory / "worker.properties"

    def prepare(self) -> None:
        make_directory(self.directory)
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        own: dict[str, object] = {
            "bootstrap.servers": self.bootstrap,
            "listeners": self.url,
            "rest.advertised.host.name": "127.0.0.1",
            "rest.advertised.port": self.port,
            "config.providers.secrets.param.allowed.paths": self.secrets,
            "exactly.once.source.support": "enabled" if self.exactly_once else "disabled",
        }
        write_properties(self.properties, SETTINGS | own | dict(self.settings))

    def spec(self, log: Path, environment: Mapping[str, str]) -> Spec:
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        argv = command(
            self.jars, main, self.properties, directory=self.directory, heap_mb=self.heap_mb, quick=self.quick
        )
        return spec(self.name, argv, self.directory, log, self.port, environment)

    def healthy(self) -> bool:
        """Whether the worker has joined its group and answers."""
        return answers(self.port, "/health")


def secret(secrets: Path, name: str) -> str:
    """What a definition says instead of the content of the file ``secrets/name``."""
    return f"${{secrets:{secrets}:{name}}}"

"""A schema registry (Apicurio) for topics in Avro; it speaks Confluent's interface under ``compatibility``.

Its schemas live in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.kafka.distribution import Distribution, java
from headwater.kafka.errors import KafkaError
from headwater.kafka.process import answers, spec
from headwater.supervisor.child import Spec

RUNNER = "apicurio-registry-app-2.6.13.Final-runner.jar"


@dataclass(frozen=True)
class Registry:
    directory: Path
    port: int
    jars: Distribution
    heap_mb: int = 160

    @property
    def url(self) -> str:
        """Apicurio's own interface, which the converter speaks."""
        return f"http://127.0.0.1:{self.port}/apis/registry/v2"

    @property
    def compatible_url(self) -> str:
        """Confluent's interface, which confluent-kafka speaks."""
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def prepare(self) -> None:
        """Raises KafkaError if the program was not fetched."""
        if not self.jars.registry.exists():
            raise KafkaError(
                f"The schema registry is not in {self.jars.registry}. Run `python -m headwater.kafka.distribution`."
            )
        self.directory.mkdir(parents=True, exist_ok=True)

    def spec(self, log: Path, environment: Mapping[str, str]) -> Spec:
        argv = [
            str(java()),
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dquarkus.http.host=127.0.0.1",
            f"-Dquarkus.http.port={self.port}",
            "-jar",
            str(self.jars.registry / RUNNER),
        ]
        return spec("registry", argv, self.directory, log, self.port, environment)

    def healthy(self) -> bool:
        return answers(self.port, "/health/ready")

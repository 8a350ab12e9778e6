"""Landing over Kafka as a process of its own, for tests that kill it; its argument is what ``arguments`` gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cdc.sources.kafka_member import KafkaStream
from pipelines.landing.kafka.worker import KafkaLanding
from pipelines.landing.worker import SourceDatabase
from pipelines.runtime import Heartbeat, Stop, collect_rarely
from tests.pipelines.landing import process


def arguments(source: SourceDatabase, stream: KafkaStream, warehouse_dsn: str, heartbeat: Path) -> str:
    at = {"bootstrap": stream.bootstrap, "member": stream.member, "session_timeout": stream.session_timeout}
    given = {"source": process.describe(source), "stream": at, "warehouse": warehouse_dsn, "heartbeat": str(heartbeat)}
    return json.dumps(given)


def spawn(given: str, log: Path, *, failpoint: str = "") -> subprocess.Popen[bytes]:
    """Starts the process; with ``failpoint`` it kills itself there."""
    return process.spawn(given, failpoint=failpoint, log=log, module="tests.pipelines.landing.kafka.process")


def main(given: dict[str, Any]) -> None:
    collect_rarely()
    heartbeat = Heartbeat(Path(given["heartbeat"]), "landing", every=0)
    stop = Stop().on_signals()
    source = process.described(given["source"])
    KafkaLanding(source, KafkaStream(**given["stream"]), given["warehouse"], heartbeat).run(stop)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

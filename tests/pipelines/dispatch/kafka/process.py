"""Dispatch over Kafka as a process of its own, for tests that kill it; its argument is what ``arguments`` gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cdc.sources.kafka_member import KafkaStream
from pipelines.dispatch.kafka.worker import run
from pipelines.runtime import Heartbeat, Stop

ROOT = Path(__file__).resolve().parents[4]


def arguments(source: str, stream: KafkaStream, stream_dsn: str, heartbeat: Path) -> str:
    at = {"bootstrap": stream.bootstrap, "member": stream.member, "session_timeout": stream.session_timeout}
    return json.dumps({"source": source, "stream": at, "dsn": stream_dsn, "heartbeat": str(heartbeat)})


def spawn(module: str, given: str, log: Path, *, failpoint: str = "") -> subprocess.Popen[bytes]:
    """Starts the module with what it is given; with ``failpoint`` it kills itself there."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, given],
            cwd=ROOT,
            env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
            stdout=output,
            stderr=output,
        )


def main(given: dict[str, Any]) -> None:
    heartbeat = Heartbeat(Path(given["heartbeat"]), "dispatch", every=0)
    run([given["source"]], KafkaStream(**given["stream"]), given["dsn"], heartbeat, Stop().on_signals())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

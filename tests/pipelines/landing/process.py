"""Landing as a process of its own, for tests that kill it or measure it; its argument is what ``arguments`` gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipelines.landing.repair import repair
from pipelines.landing.worker import SourceDatabase, run
from pipelines.runtime import Heartbeat, Stop

ROOT = Path(__file__).resolve().parents[3]


def arguments(source: SourceDatabase, warehouse_dsn: str, heartbeat: Path, *, action: str = "land") -> str:
    given = {"source": describe(source), "warehouse": warehouse_dsn, "heartbeat": str(heartbeat), "action": action}
    return json.dumps(given)


def describe(source: SourceDatabase) -> dict[str, Any]:
    """What ``described`` makes the same source of."""
    return {
        "name": source.name,
        "dsn": source.dsn,
        "spool_dir": str(source.spool_dir),
        "slot": source.slot,
        "publications": list(source.publications),
    }


def described(given: dict[str, Any]) -> SourceDatabase:
    return SourceDatabase(
        given["name"],
        given["dsn"],
        Path(given["spool_dir"]),
        slot=given["slot"],
        publications=tuple(given["publications"]),
    )


def spawn(
    given: str, *, failpoint: str = "", log: Path | None = None, module: str = "tests.pipelines.landing.process"
) -> subprocess.Popen[bytes]:
    """Starts the process; with ``failpoint`` it kills itself there."""
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, given],
            cwd=ROOT,
            env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
            stdout=output,
            stderr=output,
        )


def main(given: dict[str, Any]) -> None:
    source = described(given["source"])
    if given["action"] == "repair":
        repair(source, given["warehouse"])
        return
    stop = Stop().on_signals()
    run([source], given["warehouse"], Heartbeat(Path(given["heartbeat"]), "landing"), stop)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

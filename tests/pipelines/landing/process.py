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
    described = {
        "name": source.name,
        "dsn": source.dsn,
        "spool_dir": str(source.spool_dir),
        "slot": source.slot,
        "publications": list(source.publications),
    }
    return json.dumps({"source": described, "warehouse": warehouse_dsn, "heartbeat": str(heartbeat), "action": action})


def spawn(given: str, *, failpoint: str = "", log: Path | None = None) -> subprocess.Popen[bytes]:
    """Starts the process; with ``failpoint`` it kills itself there."""
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.landing.process", given],
            cwd=ROOT,
            env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
            stdout=output,
            stderr=output,
        )


def main(given: dict[str, Any]) -> None:
    described = given["source"]
    source = SourceDatabase(
        described["name"],
        described["dsn"],
        Path(described["spool_dir"]),
        slot=described["slot"],
        publications=tuple(described["publications"]),
    )
    if given["action"] == "repair":
        repair(source, given["warehouse"])
        return
    stop = Stop().on_signals()
    run([source], given["warehouse"], Heartbeat(Path(given["heartbeat"]), "landing"), stop)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

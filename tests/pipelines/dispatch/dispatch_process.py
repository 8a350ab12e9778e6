"""``python -m tests.pipelines.dispatch.dispatch_process``: the dispatch worker as a process that a test may kill."""

from __future__ import annotations

import sys
from pathlib import Path

from cdc.sources.slot import SlotSource
from pipelines.dispatch.worker import run
from pipelines.runtime import Heartbeat, Stop


def main(source_dsn: str, slot: str, stream_dsn: str, directory: str) -> None:
    place = Path(directory)
    source = SlotSource("headwater", source_dsn, slot=slot, publications=["hw_dispatch"], spool_dir=place)
    run([source], stream_dsn, Heartbeat(place / "dispatch.json", "dispatch"), Stop().on_signals())


main(*sys.argv[1:])

"""The sources of this installation as dispatch reads them, and the repair of one."""

from __future__ import annotations

from pathlib import Path

from cdc.sources.slot import SlotSource
from headwater.config import Config
from headwater.provision.oltp import DISPATCH
from headwater.provision.stream import dispatch_sources
from pipelines.dispatch import repair


def dispatch_readers(config: Config) -> list[SlotSource]:
    """A reader of the outboxes of every source."""
    spool = Path(config.home) / "spool" / "dispatch"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        SlotSource(source.name, source.dsn, slot=source.slot, publications=[DISPATCH], spool_dir=spool)
        for source in dispatch_sources(config)
    ]


def repair_dispatch(config: Config, source: str) -> repair.Repaired:
    """Makes the source's dispatch slot anew and delivers what its outboxes hold; ``source`` is one of the config's."""
    found = next(candidate for candidate in dispatch_sources(config) if candidate.name == source)
    return repair.repair(source, found.dsn, config.stream_url("hw_dispatch"), slot=found.slot, publication=DISPATCH)

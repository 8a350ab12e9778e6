"""The sources of this installation as dispatch reads them, and the repair of one."""

from __future__ import annotations

from pathlib import Path

from cdc.sources.slot import SlotSource
from headwater.config import Config
from headwater.provision.names import DISPATCH
from headwater.provision.stream import dispatch_sources
from pipelines.dispatch import repair
from pipelines.runtime import Heartbeat, Stop


def dispatch_readers(config: Config) -> list[SlotSource]:
    """A reader of the outboxes of every source."""
    spool = Path(config.home) / "spool" / "dispatch"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        SlotSource(source.name, source.dsn, slot=source.slot, publications=[DISPATCH], spool_dir=spool)
        for source in dispatch_sources(config)
    ]


def dispatch_over_kafka(config: Config, member: str, heartbeat: Heartbeat, stop: Stop) -> None:
    """Dispatches every source from its topic, until ``stop``; ``member`` is this process's name among those who share
    the partitions, and the same at every start."""
    from cdc.sources.kafka_member import KafkaStream
    from headwater.kafka import profile
    from pipelines.dispatch.kafka.worker import run

    stream = KafkaStream(profile.bootstrap(config), member, profile.security(config))
    names = [source.name for source in dispatch_sources(config)]
    run(names, stream, config.stream_url("hw_dispatch"), heartbeat, stop)


def repair_dispatch(config: Config, source: str) -> repair.Repaired:
    """Makes the source's dispatch slot anew and delivers what its outboxes hold; ``source`` is one of the config's."""
    found = next(candidate for candidate in dispatch_sources(config) if candidate.name == source)
    return repair.repair(source, found.dsn, config.stream_url("hw_dispatch"), slot=found.slot, publication=DISPATCH)

"""``headwater repair``: finds which readers of a source have a gap and starts those anew, workers standing still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from cdc.errors import EpochMismatch, SlotGap, SlotMissing
from headwater import landing, streaming
from headwater.cli.errors import Refused
from headwater.config import Config
from headwater.kafka_repair import KafkaRepair
from headwater.migration.state import refuse_while_leaving
from headwater.state import Home
from headwater.supervisor.hold import held
from pipelines.dispatch.store import connect, stored_position
from pipelines.landing.repair import repair as repair_landing
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.worker import SourceDatabase

GAPS = (SlotMissing, SlotGap, EpochMismatch)
"""What only a repair mends; everything else passes by itself or is a mistake elsewhere."""

ALL = "all"
"""Instead of the names of all sources."""


def repair(home: Home, config: Config, sources: Sequence[str], *, force: bool = False) -> Iterator[str]:
    """Says what it found and did, reader by reader: of ``sources``, or of every one if that is ``["all"]``. ``force``
    starts readers anew that have no gap, too. Workers stand still once for all of them.

    Raises Refused for an unknown source, NotHeld if a worker cannot be stopped. What was said before is done.
    """
    known = {database.name: database for database in landing.databases(config)}
    refuse_while_leaving(home)
    for source in sources:
        if source not in known and list(sources) != [ALL]:
            raise Refused(f"there is no source {source!r}; there are {', '.join(known)}. Nothing was repaired.")
    wanted = known.values() if list(sources) == [ALL] else [known[source] for source in dict.fromkeys(sources)]
    over_kafka = config.profile == "kafka"
    with held(home, "landing", "dispatch", *(["connectors"] if over_kafka else [])):
        for database in wanted:
            yield from _repair(config, database, KafkaRepair(home, config, database) if over_kafka else None, force)


def _repair(config: Config, database: SourceDatabase, stream: KafkaRepair | None, force: bool) -> Iterator[str]:
    source = database.name
    gap = stream.gap_of_landing() if stream else _gap_of_landing(database, config)
    if gap or force:
        position = stream.repair_landing() if stream else repair_landing(database, config.warehouse_url())
        yield f"landing of {source}: {gap or 'no gap'}"
        yield f"landing of {source} begins anew at {position} and reads every table again; see `headwater status`."
    else:
        yield f"landing of {source} has no gap."
    gap = stream.gap_of_dispatch() if stream else _gap_of_dispatch(config, source)
    if gap or force:
        done = stream.repair_dispatch() if stream else streaming.repair_dispatch(config, source)
        yield f"dispatch of {source}: {gap or 'no gap'}"
        yield f"dispatch of {source} read {done.events:,} events again; {done.deliveries:,} were not waiting yet."
    else:
        yield f"dispatch of {source} has no gap."


def _gap_of_landing(database: SourceDatabase, config: Config) -> str | None:
    with (
        closing(WarehouseSink(config.warehouse_url(), database.name)) as sink,
        closing(database.slot_source()) as reader,
    ):
        position = sink.open()
        try:
            if position is not None:
                reader.start(position)
        except GAPS as gap:
            return str(gap)
    return None


def _gap_of_dispatch(config: Config, source: str) -> str | None:
    reader = next(reader for reader in streaming.dispatch_readers(config) if reader.name == source)
    with connect(config.stream_url("hw_dispatch")) as stream, closing(reader):
        try:
            reader.start(stored_position(stream, source))
        except GAPS as gap:
            return str(gap)
    return None

"""The sources of this installation as landing reads them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import psycopg

from cdc.slots import create_slot, mark_for_failover
from headwater.config import Config
from headwater.provision.names import DISPATCH, LANDING
from headwater.provision.stream import dispatch_sources
from pipelines.landing.worker import SourceDatabase
from pipelines.runtime import Heartbeat, Stop, collect_rarely, run_each


def databases(config: Config) -> list[SourceDatabase]:
    """Every source. Names of slots are a cluster's, so a service with a database of its own has one of its name."""
    spool = Path(config.home) / "spool" / "landing"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        SourceDatabase(
            name=source.name,
            dsn=source.dsn,
            spool_dir=spool,
            slot=LANDING if source.name == "headwater" else f"{LANDING}_{source.name}",
            publications=(LANDING, DISPATCH),
            polling=config.polls_schema_changes(),
        )
        for source in dispatch_sources(config)
    ]


def land_over_kafka(config: Config, member: str, heartbeat: Heartbeat, stop: Stop) -> None:
    """Lands every source from its topics, each in a thread of its own, until ``stop``; ``member`` is this process's
    name among those who share the partitions, and the same at every start."""
    from cdc.sources.kafka_member import KafkaStream
    from headwater.kafka import profile
    from pipelines.landing.kafka.worker import KafkaLanding

    collect_rarely()
    stream = KafkaStream(profile.bootstrap(config), member, profile.security(config))
    run_each(
        {
            f"landing-{database.name}": partial(
                KafkaLanding(database, stream, config.warehouse_url(), heartbeat).run, stop
            )
            for database in databases(config)
        },
        stop,
    )


def unread_records(config: Config) -> dict[str, int]:
    """Source → records of its topics that landing has yet to store. Raises KafkaUnavailable."""
    from cdc.topics import ends
    from headwater.kafka import profile

    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        rows = warehouse.execute("select source, topic, partition, coalesce(next_offset, 0) from log.kafka_partition")
        stored = {(source, topic, number): offset for source, topic, number, offset in rows}
    unread = dict.fromkeys(sorted({source for source, _, _ in stored}), 0)
    if not stored:
        return unread
    wanted = [(topic, number) for _, topic, number in stored]
    found = ends(", ".join(unread), profile.bootstrap(config), wanted, profile.security(config))
    for (source, topic, number), offset in stored.items():
        unread[source] += found[topic, number] - offset
    return unread


def make_slots(config: Config) -> None:
    """Makes the slot of every source that was never landed. One that was lost is for ``headwater repair``; one that is
    there is marked as one that a standby keeps, which earlier versions did not do.

    Raises SlotBlocked, naming the transaction that is in the way.
    """
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        landed = {row[0] for row in warehouse.execute("select source from log.position")}
    for database in databases(config):
        if database.name not in landed:
            create_slot(database.dsn, database.slot)
        else:
            mark_for_failover(database.dsn, database.slot)

"""The sources of this installation as landing reads them."""

from __future__ import annotations

from pathlib import Path

import psycopg

from cdc.slots import create_slot
from headwater.config import Config
from headwater.provision.oltp import DISPATCH, LANDING
from headwater.provision.stream import dispatch_sources
from pipelines.landing.worker import SourceDatabase


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
        )
        for source in dispatch_sources(config)
    ]


def make_slots(config: Config) -> None:
    """Makes the slot of every source that was never landed. One that was lost is for ``headwater repair``.

    Raises SlotBlocked, naming the transaction that is in the way.
    """
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        landed = {row[0] for row in warehouse.execute("select source from log.position")}
    for database in databases(config):
        if database.name not in landed:
            create_slot(database.dsn, database.slot)

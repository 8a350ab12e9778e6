"""Landing and dispatch go on at the new database, once the old stream holds nothing more of the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import psycopg

from cdc.failpoints import reach
from cdc.positions import Position, format_lsn
from headwater.config import Config, Placement
from headwater.landing import databases
from headwater.provision.oltp import publications
from headwater.splitting.errors import SplitError
from headwater.splitting.places import Places
from headwater.splitting.placing import place
from headwater.splitting.state import Split
from headwater.state import Home
from headwater.supervisor.hold import held
from pipelines.dispatch.store import connect, store_position, stored_position
from pipelines.landing.handover import hand_over, missing

PATIENCE: Final = 60.0
"""Seconds to wait for landing and dispatch to read the old database's stream to its mark. Nobody is paused by it."""


def move(home: Home, places: Places, split: Split) -> None:
    """Waits for the old stream's end, then gives mirrors and events to the new one. Raises SplitError."""
    assert split.mark is not None
    assert split.landing is not None
    assert split.dispatch is not None
    _await(lambda: _landing_lacks(places, split), "landing")
    _await(lambda: _dispatch_lacks(places, split), "dispatch")
    with held(home, "landing", "dispatch"):
        _give_events(places, split.dispatch)
        reach("split.after_events")
        tables = next(found for found in databases(_streamed(places, split)) if found.name == split.service).tables()
        hand_over(places.config.warehouse_url(), split.landing, split.mark, split.service, tables)
        reach("split.after_mirrors")
        # Before landing looks again: tables that are published and not known would count as new.
        with places.old() as old:
            publications(old, places.staying)
        place(home, split.service, Placement(split.url, streamed=True))


def restart(home: Home, worker: str) -> None:
    """Has the supervisor start the worker anew, so that it learns of the new source. Nothing where it does not run."""
    with held(home, worker):
        pass


def _landing_lacks(places: Places, split: Split) -> str | None:
    assert split.mark is not None
    with psycopg.connect(places.config.warehouse_url(), autocommit=True) as warehouse:
        return missing(warehouse, split.mark)


def _dispatch_lacks(places: Places, split: Split) -> str | None:
    assert split.mark is not None
    mark = split.mark
    with connect(places.config.stream_url("hw_dispatch")) as stream:
        position = stored_position(stream, mark.source)
    if position is None or position.epoch.system_id != mark.epoch.system_id:
        return f"dispatch of {mark.source} has stored no position of this cluster"
    if position.lsn < mark.lsn:
        return f"dispatch of {mark.source} is at {format_lsn(position.lsn)}, not yet at {format_lsn(mark.lsn)}"
    return None


def _await(lacks: Callable[[], str | None], worker: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while lacking := lacks():
        if time.monotonic() > deadline:
            raise SplitError(
                f"{lacking}. The service works in its new database; its changes wait there for {worker}. "
                "See `headwater doctor`, then run the split again."
            )
        time.sleep(0.05)


def _give_events(places: Places, begin: Position) -> None:
    """Dispatch of the new source begins at its slot, and not before the old one's last event was delivered."""
    with connect(places.config.stream_url("hw_dispatch")) as stream:
        if stored_position(stream, begin.source) is None:
            store_position(stream, begin)


def _streamed(places: Places, split: Split) -> Config:
    return replace(
        places.moved, placements=places.moved.placements | {split.service: Placement(split.url, streamed=True)}
    )

"""The moment of the move: the service pauses, the copy is completed and compared, the configuration is written.

Everything up to the configuration can be done again from the beginning, and is: the old database rules until then. The
new slots are made while nobody writes either database, so that what they deliver is what the service writes there.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from cdc.failpoints import reach
from cdc.positions import Position, parse_lsn
from cdc.slots import create_slot, drop_slot, read_epoch
from headwater.config import Placement
from headwater.provision.names import DISPATCH, LANDING
from headwater.splitting import copying, fence
from headwater.splitting.errors import SplitError
from headwater.splitting.places import SHARED, Connection, Places
from headwater.splitting.placing import is_placed, place
from headwater.splitting.state import Split
from headwater.state import Home

CATCHING_UP: Final = 30.0
"""Seconds that the service may be paused for the last rows to arrive, before it goes on as before."""


def cut_over(home: Home, places: Places, split: Split) -> Split:
    """Returns the split with its marks and pause. Raises SplitError, with the service back in its old database."""
    with places.old() as old, places.new() as new:
        copying.switch(new, places, on=True)
        # What piled up while nobody looked is applied before the pause begins.
        copying.await_applied(old, places, _mark(old), patience=CATCHING_UP * 10)
        began = time.monotonic()
        try:
            fence.fence(old, places)
            reach("split.after_fence")
            mark = _mark(old)
            copying.await_applied(old, places, mark, patience=CATCHING_UP)
            copying.copy_sequences(old, new, places.service)
            if differing := copying.differences(old, new, places.service):
                raise SplitError(f"the copy differs from the original in {', '.join(differing)}.")
            reach("split.after_compare")
            copying.switch(new, places, on=False)
            landing, dispatch = (_slot(places, prefix) for prefix in (LANDING, DISPATCH))
            reach("split.after_slots")
            split = split.at(
                "copied",
                mark=Position(SHARED, read_epoch(places.old_dsn(), LANDING), parse_lsn(mark)),
                landing=landing,
                dispatch=dispatch,
            )
            split.save(home)
            if not fence.stands(old, places):
                raise SplitError(f"somebody let {places.service} into its old database again meanwhile.")
            place(home, places.service, Placement(split.url))
        except BaseException:
            if not is_placed(home, places.service):
                fence.take_down(places)
            raise
        return replace(split, pause=time.monotonic() - began)


def _mark(old: Connection) -> str:
    """A position behind all that is committed now, which every reader is sure to reach: a message stands there."""
    row = old.execute("select pg_logical_emit_message(true, 'headwater.split', '')::text").fetchone()
    assert row is not None
    return str(row[0])


def _slot(places: Places, prefix: str) -> Position:
    """Makes the slot; one that an earlier attempt left would deliver what the copy brought since."""
    slot, dsn = f"{prefix}_{places.service}", places.new_dsn("hw_replication")
    drop_slot(dsn, slot)
    return Position(places.service, read_epoch(dsn, slot), create_slot(dsn, slot))

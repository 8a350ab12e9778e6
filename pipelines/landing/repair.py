"""Repair of a source whose stream has a gap: a new slot, a new epoch, and every table read again."""

from __future__ import annotations

from cdc.failpoints import reach
from cdc.positions import Position
from cdc.slots import drop_slot
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.worker import SourceDatabase


def repair(database: SourceDatabase, warehouse_dsn: str) -> Position:
    """Starts the source anew; the landing worker then reads its tables again and goes on. Returns where it starts.

    Mirrors keep their rows meanwhile; rows that no longer exist are flagged once their table was read. A repair that
    was killed leaves a gap as before: repair again. Raises SourceTaken while a healthy worker lands the source.
    """
    sink = WarehouseSink(warehouse_dsn, database.name)
    try:
        sink.open()
        drop_slot(database.dsn, database.slot)
        reach("repair.after_drop")
        position = database.slot_position()
        reach("repair.after_slot")
        sink.begin_epoch(position, "repair", database.snapshot())
        sink.remember(database.tables())
    finally:
        sink.close()
    return position

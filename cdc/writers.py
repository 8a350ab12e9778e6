"""Who is writing a table at this moment, so that a reader can wait until none of them can have written before it."""

from __future__ import annotations

from typing import Any

import psycopg

_WRITERS = """
select virtualtransaction
from pg_locks
where locktype = 'relation'
  and database = (select oid from pg_database where datname = current_database())
  and relation = %s
  and granted
  and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""


class Writers:
    """The transactions that hold a lock to write table ``relid`` when this is made.

    Every change of the table that stands in the WAL by then is one of theirs, or of a transaction that has ended: a
    transaction keeps its lock until others see what it did. ``connection`` is in autocommit mode.
    """

    def __init__(self, connection: psycopg.Connection[Any], relid: int) -> None:
        self._connection = connection
        self._relid = relid
        self._writing = self._now()

    def have_ended(self) -> bool:
        """Whether a snapshot that is taken from now on sees all that they did."""
        self._writing &= self._now()
        return not self._writing

    def _now(self) -> set[str]:
        return {row[0] for row in self._connection.execute(_WRITERS, [self._relid])}

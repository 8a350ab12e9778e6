"""Which change made a record that Kafka does not take: Connect tells its bytes, and the slot still holds it."""

from __future__ import annotations

import re
from typing import Final

import psycopg
from psycopg.rows import tuple_row

TOO_LARGE: Final = re.compile(r"The message is (\d+) bytes when serialized which is larger than (\d+)")

LOOK: Final = 20_000
"""Changes of the slot that are looked through, from where the connector stopped."""

LARGEST: Final = """
select c.relnamespace::regnamespace::text || '.' || c.relname, lsn::text, length(data)
from pg_logical_slot_peek_binary_changes(
  %(slot)s, null, %(look)s, 'proto_version', '1', 'publication_names', %(publication)s
)
join pg_class c
  on c.oid = (get_byte(data, 1)::bigint << 24)
    + (get_byte(data, 2) << 16) + (get_byte(data, 3) << 8) + get_byte(data, 4)
where chr(get_byte(data, 0)) in ('I', 'U', 'D')
order by length(data) desc
limit 1
"""
"""A change's message is its letter, the table's oid in four bytes, and the images."""


def explain(cause: str, dsn: str, source: str, *, slot: str, publication: str) -> str | None:
    """What to say of a connector that failed by ``cause``; None if it was no record's size, or the slot, which nobody
    may be reading, does not tell. Changes nothing."""
    told = TOO_LARGE.search(cause)
    if told is None:
        return None
    size, limit = map(int, told.groups())
    change = _largest(dsn, slot, publication)
    return change and (
        f"{change} makes a record of {size / 1e6:.1f} MB, and a record may have "
        f"{limit / 1e6:.1f} MB. It waits in the slot, and everything after it. Set HEADWATER_KAFKA_MESSAGE_MB to "
        f"{-(-size // (1 << 20)) + 1} or more for `headwater connectors apply`; or `headwater repair {source} --force` "
        "reads the tables, without Kafka, and history lacks the versions between."
    )


def _largest(dsn: str, slot: str, publication: str) -> str | None:
    """In words."""
    given = {"slot": slot, "publication": publication, "look": LOOK}
    try:
        with psycopg.connect(dsn, autocommit=True, row_factory=tuple_row) as connection:
            row = connection.execute(LARGEST, given).fetchone()
    except psycopg.Error:
        return None
    if row is None:
        return None
    return f"a change of {row[0]} at {row[1]} ({row[2] / 1e6:.1f} MB in the WAL)"

"""Takes out of a batch what was landed before: Debezium sends again what it had not noted as sent when it died.

What was landed is asked for only of changes that do not lie beyond the furthest one landed of their partition, and of
those without a key, which may come by another partition the second time: of no others can there be a first copy. A
change is known by its LSN, table, operation and key. Its number in the transaction is no part of that: where a
connector begins again within a transaction it counts from there (seen when the source's cluster was killed: 1 and 2 the
first time, 0 and 1 the second). Rows without a key, which may share an LSN as those of one COPY do, are known by what
they hold and their number: one that comes again under another number stands twice, and none is taken for another.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from cdc.events import UNCHANGED, ChangeEvent, Item, SchemaChange, Transaction, Value
from cdc.positions import parse_lsn
from cdc.sources.kafka import KafkaBatch
from pipelines.landing.mirrors import Connection

Image = Mapping[str, str | None]

_ROWS = """
select xid, lsn::text, seq, op::text, schema_name, table_name, key,
  case when key = '{}' then before end, case when key = '{}' then after end
from log.change_log
where xid = any (%(xids)s) and source = %(source)s and epoch = %(epoch)s and op <> 'r'
"""
_NUMBERS = """
select xid, lsn::text, seq from log.change_log
where xid = any (%(xids)s) and source = %(source)s and epoch = %(epoch)s and op <> 'r'
"""
_MESSAGES = """
select xid, lsn::text from log.transactions
where xid = any (%(xids)s) and source = %(source)s and epoch = %(epoch)s
"""
_SCHEMA_CHANGES = """
select xid, lsn::text, relid from log.schema_change
where xid = any (%(xids)s) and source = %(source)s and epoch = %(epoch)s
"""


def without_duplicates(connection: Connection, batch: KafkaBatch, epoch: int) -> list[Transaction]:
    """The batch's transactions without items that are landed, or that it has twice itself."""
    suspects = batch.suspects | {
        (t.xid, item.lsn, item.seq)
        for t in batch.transactions
        for item in t.items
        if type(item) is ChangeEvent and not item.key
    }
    if not suspects:
        return batch.transactions
    landed = _landed(connection, batch.source, epoch, list({xid for xid, _, _ in suspects}))
    fresh = []
    for transaction in batch.transactions:
        items = []
        for item in transaction.items:
            if (transaction.xid, item.lsn, item.seq) in suspects:
                identity = _identity(transaction.xid, item)
                if identity in landed:
                    continue
                landed.add(identity)
            items.append(item)
        if items:
            transaction.items = items
            fresh.append(transaction)
    return fresh


def number_apart(connection: Connection, source: str, epoch: int, fresh: list[Transaction]) -> None:
    """Gives changes whose number another one has at their LSN the next that is free.

    Within one LSN numbers only tell apart: the rows of one COPY are different rows, and whose command a change is
    follows from its LSN.
    """
    parameters = {"xids": [transaction.xid for transaction in fresh], "source": source, "epoch": epoch}
    taken = {(xid, parse_lsn(lsn), seq) for xid, lsn, seq in connection.execute(_NUMBERS, parameters)}
    for transaction in fresh:
        for item in transaction.items:
            if type(item) is ChangeEvent:
                while (transaction.xid, item.lsn, item.seq) in taken:
                    item.seq += 1
                taken.add((transaction.xid, item.lsn, item.seq))


def _landed(connection: Connection, source: str, epoch: int, xids: list[int]) -> set[Hashable]:
    parameters = {"xids": xids, "source": source, "epoch": epoch}
    found: set[Hashable] = set()
    for xid, lsn, seq, op, schema, table, key, before, after in connection.execute(_ROWS, parameters):
        found.add(_row(xid, parse_lsn(lsn), seq, op, schema, table, key, before, after))
    for xid, lsn in connection.execute(_MESSAGES, parameters):
        found.add((xid, parse_lsn(lsn)))
    for xid, lsn, relid in connection.execute(_SCHEMA_CHANGES, parameters):
        found.add((xid, parse_lsn(lsn), relid))
    return found


def _identity(xid: int, item: Item) -> Hashable:
    if type(item) is ChangeEvent:
        relation = item.relation
        names = (relation.names[index] for index in relation.key_indexes)
        key = dict(zip(names, item.key, strict=True)) if item.key else {}
        before, after = (None, None) if key else (_image(relation.names, i) for i in (item.before, item.after))
        return _row(xid, item.lsn, item.seq, item.op, relation.schema, relation.table, key, before, after)
    if type(item) is SchemaChange:
        return xid, item.lsn, item.relid
    return xid, item.lsn


def _row(
    xid: int,
    lsn: int,
    seq: int,
    op: str,
    schema: str,
    table: str,
    key: Image,
    before: Image | None,
    after: Image | None,
) -> Hashable:
    told_apart: Hashable = frozenset(key.items())
    if not key and op != "t":
        told_apart = (seq, *(image and frozenset(image.items()) for image in (before, after)))
    return xid, lsn, op, schema, table, told_apart


def _image(names: Sequence[str], values: Sequence[Value] | None) -> Image | None:
    if values is None:
        return None
    return {name: value for name, value in zip(names, values, strict=True) if value is not UNCHANGED}

"""Rows of ``log.change_log`` as lines of COPY: the hottest loop of landing, with its constants worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from cdc.events import ChangeEvent, Relation, Transaction
from pipelines.landing.text import copy_image, copy_text, timestamp_text

COPY: Final = (
    "copy log.change_log (landed_on, batch_id, source, epoch, xid, lsn, seq, op, schema_name, table_name,"
    " key, before, after, committed_at, commit_no) from stdin"
)

CHUNK: Final = 256 << 10
"""Bytes handed to COPY at once: enough to keep the server busy while the next lines are built, little to hold."""


class ChangeLines:
    """Builds the lines of one batch."""

    def __init__(self, *, source: str, epoch: int, batch_id: int, landed_on: date) -> None:
        self._prefix = b"%b\t%d\t%b\t%d\t" % (landed_on.isoformat().encode(), batch_id, copy_text(source), epoch)
        self._tables: dict[int, tuple[Relation, bytes, tuple[str, ...]]] = {}
        self._transaction: Transaction | None = None
        self._commit_no = 0

    def of(self, transactions: Iterable[tuple[Transaction, Iterable[object]]]) -> Iterator[bytes]:
        """Chunks of lines for the row changes among the items; anything else is passed over.

        Transactions are numbered in the order in which they come, which is that of their commits; one may go on in the
        next call.
        """
        lines: list[bytes] = []
        size = 0
        for transaction, items in transactions:
            if transaction is not self._transaction:
                self._transaction = transaction
                self._commit_no += 1
            committed = b"%b\t%d" % (timestamp_text(transaction.committed_at).encode(), self._commit_no)
            for item in items:
                if type(item) is not ChangeEvent:
                    continue
                line = self.line(item, committed)
                lines.append(line)
                size += len(line)
                if size > CHUNK:
                    yield b"".join(lines)
                    lines.clear()
                    size = 0
        if lines:
            yield b"".join(lines)

    def line(self, event: ChangeEvent, committed: bytes) -> bytes:
        relation = event.relation
        known = self._tables.get(id(relation))
        if known is None:
            # Holding the relation keeps its id from being given to another.
            names = b"%b\t%b" % (copy_text(relation.schema), copy_text(relation.table))
            known = (relation, names, tuple(relation.names[i] for i in relation.key_indexes))
            self._tables[id(relation)] = known
        _, names, key_names = known
        before, after = event.before, event.after
        return b"%b%d\t%X/%X\t%d\t%b\t%b\t%b\t%b\t%b\t%b\n" % (
            self._prefix,
            event.xid,
            event.lsn >> 32,
            event.lsn & 0xFFFFFFFF,
            event.seq,
            event.op.encode(),
            names,
            copy_image(key_names, event.key) if event.key else b"{}",
            b"\\N" if before is None else copy_image(relation.names, before),
            b"\\N" if after is None else copy_image(relation.names, after),
            committed,
        )

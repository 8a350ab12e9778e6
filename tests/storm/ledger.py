"""What the storm's clients asked for and what was acknowledged, and whether the databases agree."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

import psycopg

from tests.storm.verify import Databases, Finding, connect


@dataclass
class Write:
    """One logical write. ``token`` is a text that it and nothing else leaves behind; resends share the key.

    ``acknowledged``: a client saw success. ``refused``: a client saw a definite no. Neither: nobody knows, it may have
    happened once, and never twice.
    """

    token: str
    kind: str
    attempts: int = 0
    acknowledged: bool = False
    refused: str | None = None


@dataclass
class Ledger:
    writes: list[Write] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, token: str, kind: str) -> Write:
        write = Write(token, kind)
        with self._lock:
            self.writes.append(write)
        return write

    def refuse(self, what: str, why: str) -> None:
        with self._lock:
            self.refusals[f"{what}: {why}"] += 1

    @property
    def acknowledged(self) -> int:
        return sum(write.acknowledged for write in self.writes)

    @property
    def resent(self) -> int:
        """Writes that a client sent more than once."""
        return sum(write.attempts > 1 for write in self.writes)

    def summary(self) -> dict[str, int]:
        return dict(Counter(write.kind for write in self.writes if write.acknowledged))


@dataclass(frozen=True)
class Trace:
    """Where a kind of write leaves its token: a change of ``column`` in ``table``, logged with this operation."""

    table: str
    column: str
    op: str


TRACES = {
    "create account": Trace("contacts.account", "name", "c"),
    "update account": Trace("contacts.account", "industry", "u"),
    "create contact": Trace("contacts.contact", "last_name", "c"),
    "link contact": Trace("contacts.account_contact", "role", "c"),
    "unlink contact": Trace("contacts.account_contact", "role", "d"),
    "place hold": Trace("finance.account_profile", "hold_reason", "u"),
    "create order": Trace("orders.sales_order", "purchase_order_number", "c"),
}


def check(ledger: Ledger, databases: Databases) -> Finding:
    """Every acknowledged write left exactly one trace, every unknown one at most one, every refused one none."""
    finding = Finding("acknowledged writes stand once")
    with connect(databases.warehouse) as warehouse:
        for kind, trace in TRACES.items():
            writes = [write for write in ledger.writes if write.kind == kind]
            counts = _traces(warehouse, trace, [write.token for write in writes])
            finding.compared += len(writes)
            finding.fault(
                f"acknowledged writes lost ({kind})",
                [write.token for write in writes if write.acknowledged and not counts[write.token]],
            )
            finding.fault(f"writes doubled ({kind})", [write.token for write in writes if counts[write.token] > 1])
            finding.fault(
                f"refused writes that happened ({kind})",
                [f"{w.token} ({w.refused})" for w in writes if w.refused and counts[w.token]],
            )
    return finding


def _traces(warehouse: psycopg.Connection[tuple[object, ...]], trace: Trace, tokens: list[str]) -> Counter[str]:
    """How many logged changes brought (for a deletion: took) each token."""
    schema, _, table = trace.table.partition(".")
    image, other = ("before", "after") if trace.op == "d" else ("after", "before")
    rows = warehouse.execute(
        f"select {image} ->> %s, count(*) from log.change_log"
        f" where schema_name = %s and table_name = %s and op = %s and {image} ->> %s = any(%s)"
        f" and ({other} ->> %s) is distinct from ({image} ->> %s) group by 1",
        [trace.column, schema, table, trace.op, trace.column, tokens, trace.column, trace.column],
    )
    return Counter({str(token): int(str(times)) for token, times in rows})

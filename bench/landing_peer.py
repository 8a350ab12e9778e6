"""Debezium's embedded engine (pydbzengine) as a peer of landing: a process that reads, or reads and lands, and counts.

Its JSON envelopes become change events and go through the same sink as ours. Run as
``python -m bench.landing_peer '{…}'``; it prints a line of JSON with what it has seen each second, and ends on SIGTERM.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import orjson
from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine

from cdc.events import Batch, ChangeEvent, Column, Relation, Transaction
from cdc.positions import Epoch, Position
from pipelines.landing.sinks.warehouse import WarehouseSink

SOURCE = "debezium"
EPOCH = Epoch("0", 1, "debezium")

DEFAULT: dict[str, str] = {}
TUNED = {
    "max.batch.size": "10000",
    "max.queue.size": "40000",
    "poll.interval.ms": "5",
    "snapshot.fetch.size": "10000",
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "decimal.handling.mode": "string",
    "tombstones.on.delete": "false",
}
"""Batches as large as ours, no waiting, envelopes without their schema."""


def properties(given: dict[str, Any]) -> dict[str, str]:
    base = {
        "name": "peer",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": given["port"],
        "database.user": "postgres",
        "database.password": given["password"],
        "database.dbname": given["database"],
        "topic.prefix": "peer",
        "slot.name": given["slot"],
        "publication.name": given["publication"],
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": given["snapshot_mode"],
        "table.include.list": given["table"],
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": given["offsets"],
    }
    return base | (TUNED if given["settings"] == "tuned" else DEFAULT)


class Reader(BasePythonChangeHandler):
    """Counts records and touches nothing else."""

    def __init__(self) -> None:
        self.seen = 0

    def handleJsonBatch(self, records: Any) -> None:
        self.seen += len(records)


class Lander(Reader):
    """Parses each envelope and stores each of Debezium's batches as one batch of the sink."""

    def __init__(self, warehouse: str, key: str) -> None:
        super().__init__()
        self._key = key
        self._sink = WarehouseSink(warehouse, SOURCE)
        if self._sink.open() is None:
            self._sink.begin_epoch(Position(SOURCE, EPOCH, 0), "initial", None)
        self._relations: dict[tuple[str, ...], Relation] = {}
        self._batches = 0

    def handleJsonBatch(self, records: Any) -> None:
        transactions: list[Transaction] = []
        self._batches += 1
        current = -1
        for record in records:
            value = record.value()
            if value is None:
                continue
            envelope = orjson.loads(str(value))
            if envelope["op"] == "m":  # the message that marks the end of the load
                continue
            source = envelope["source"]
            if source["txId"] != current:
                current = source["txId"]
                transactions.append(Transaction(SOURCE, current, 0, 0, source["ts_us"], []))
            items: list[Any] = transactions[-1].items  # type: ignore[assignment]
            items.append(self._event(envelope, source, len(items)))
        for transaction in transactions:
            transaction.end_lsn = self._batches
        changes = sum(len(transaction.items) for transaction in transactions)
        self._sink.store(Batch(SOURCE, Position(SOURCE, EPOCH, self._batches), transactions, changes))
        self.seen += changes

    def _event(self, envelope: dict[str, Any], source: dict[str, Any], seq: int) -> ChangeEvent:
        before, after = (_texts(envelope[image]) for image in ("before", "after"))
        image = after or before or {}
        names = tuple(image)
        relation = self._relations.get(names)
        if relation is None:
            columns = tuple(Column(name, 25, -1, name == self._key) for name in names)
            relation = self._relations[names] = Relation(1, source["schema"], source["table"], "f", columns)
        return ChangeEvent(
            SOURCE,
            source["txId"],
            source["lsn"],
            seq,
            envelope["op"],
            relation,
            (image[self._key],),
            None if before is None else list(before.values()),
            None if after is None else list(after.values()),
        )


def _texts(image: dict[str, Any] | None) -> dict[str, str | None] | None:
    if image is None:
        return None
    return {name: value if value is None or type(value) is str else str(value) for name, value in image.items()}


def main(given: dict[str, Any]) -> None:
    handler = Lander(given["warehouse"], given["key"]) if given["lands"] else Reader()

    def report() -> None:
        print(json.dumps({"at": time.time(), "seen": handler.seen}), flush=True)

    def keep_reporting() -> None:
        while True:
            report()
            time.sleep(0.1)

    threading.Thread(target=keep_reporting, daemon=True).start()
    engine = DebeziumJsonEngine(properties=properties(given), handler=handler, jvm_opts=["-Xmx1g"])
    threading.Thread(target=_until_told, daemon=True).start()
    engine.run()
    report()  # an engine that only takes a snapshot ends by itself, perhaps between two reports
    os._exit(1)


def _until_told() -> None:
    """The benchmark closes our standard input when it has seen enough."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

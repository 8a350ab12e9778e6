"""Decodes Debezium's envelopes: bytes of one record in, one change event, message or schema change out.

Values become PostgreSQL's text, so that what is read over Kafka equals what the slot gives; ``waivers.json`` lists what
Debezium does not carry. ``seq`` is ``total_order`` − 1: in Debezium's count a message takes a place, and an update of
the key two. It orders a transaction as the slot's ``seq`` does, with other numbers.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import orjson

from cdc.catalogue import TableDefinition
from cdc.connectors import UNCHANGED as UNAVAILABLE
from cdc.ddl import MESSAGE_PREFIX, parse_schema_change
from cdc.debezium.connect import SOURCE_TYPE, Field, parse_field
from cdc.debezium.errors import EnvelopeError, NewShape, TableUnknown
from cdc.debezium.tables import Era, Tables
from cdc.debezium.values import converter, guarded, unavailable_forms
from cdc.errors import DecodeError
from cdc.events import UNCHANGED, ChangeEvent, Column, ColumnDefinition, Item, Message, Relation, Value

_PAYLOAD: Final = b',"payload":'
_TEXT_OID: Final = 25
# As text, as hexadecimal, and as the numbers of an array.
_UNAVAILABLE_FORMS: Final = (
    UNAVAILABLE.encode(),
    UNAVAILABLE.encode().hex().encode(),
    b",".join(b"%d" % byte for byte in UNAVAILABLE.encode()),
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """One item of a transaction; ``committed_at`` is microseconds since the Unix epoch, UTC.

    ``follows`` is the LSN of the commit before the transaction's own (0: it is the connector's first): transactions
    sort by it as they were committed.
    """

    item: Item
    xid: int
    lsn: int
    committed_at: int
    follows: int


class _Plan:
    """How rows of one shape are read, worked out once."""

    __slots__ = ("_guards", "_names", "_read", "_steps", "era", "identity", "key", "relation")

    def __init__(self, fields: list[Field], definition: TableDefinition, era: Era) -> None:
        described = {c.name: (c, m) for c, m in zip(definition.columns, definition.type_modifiers, strict=True)}
        # By today's names; what has no place today is left out.
        renamed = ((era.now_called.get(field.name, field.name), field) for field in fields)
        present = {name: field for name, field in renamed if name is not None}
        self.era = era
        # In the order of the catalogue; columns that are gone by now, and come in rows of before, stand last.
        names = [name for name in described if name in present]
        names += [name for name in present if name not in described]
        columns, steps, guards = [], [], []
        for place, name in enumerate(names):
            column, modifier = described.get(name, (None, -1))
            convert = _converter(present[name], column)
            if convert is not None:
                steps.append((place, convert))
            if forms := unavailable_forms(present[name], UNAVAILABLE):
                guards.append((place, guarded(convert, forms)))
            oid = column.type_oid if column is not None else _TEXT_OID
            columns.append(Column(name, oid, modifier, name in definition.key))
        self.relation = Relation(
            definition.relid, definition.schema, definition.table, definition.replica_identity, tuple(columns)
        )
        self.key = self.relation.key_indexes
        # Under REPLICA IDENTITY DEFAULT the old image is the key, and NULL in every other place.
        self.identity = self.key if definition.replica_identity == "d" else None
        self._names = [present[name].name for name in names]
        self._read = itemgetter(*self._names) if len(names) > 1 else None
        self._steps = steps
        self._guards = guards

    def row(self, image: Mapping[str, Any]) -> tuple[list[Value], bool]:
        """(values aligned with the relation, whether one is UNCHANGED)."""
        values: list[Any] = list(self._read(image)) if self._read else [image[self._names[0]]]
        for place, convert in self._steps:
            value = values[place]
            if value is not None:
                values[place] = convert(value)
        return values, False

    def row_with_unavailable(self, image: Mapping[str, Any]) -> tuple[list[Value], bool]:
        """As ``row``, of an envelope in which the placeholder stands somewhere."""
        values: list[Any] = [image[name] for name in self._names]
        steps = dict(self._steps) | dict(self._guards)
        for place, convert in steps.items():
            value = values[place]
            if value is not None:
                values[place] = convert(value)
        return values, UNCHANGED in values


def _follows(source: Mapping[str, Any]) -> int:
    """``sequence`` is ``["<LSN of the last commit>","<LSN>"]``, the first null at the start."""
    found = source["sequence"].split('"')
    return int(found[1]) if len(found) == 5 else 0


def follows(record: bytes) -> int | None:
    """Where the commit before the record's transaction ended, if that much of a record can be read that otherwise
    cannot."""
    try:
        return _follows(orjson.loads(record)["payload"]["source"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _converter(field: Field, column: ColumnDefinition | None) -> Callable[[Any], str] | None:
    if column is None:
        source = (field.parameter(SOURCE_TYPE) or "text").lower()
        type_name = f"{source[1:]}[]" if source.startswith("_") else source
        return converter(field, type_name, is_enum=_is_enum(field))
    delimiter = column.shape.delimiter if column.shape is not None else ","
    return converter(field, column.type_name, is_enum=_is_enum(field), delimiter=delimiter)


def _is_enum(field: Field) -> bool:
    element = field.items or field
    return element.semantic == "io.debezium.data.Enum"


class EnvelopeDecoder:
    """Decodes the records of one source, whatever partitions they come from.

    ``publications`` limits schema changes to tables of these; None lets all pass. ``xid_reference`` is any 64-bit
    transaction id less than two thousand million transactions away.
    """

    def __init__(
        self,
        source: str,
        tables: Tables,
        *,
        xid_reference: int,
        publications: frozenset[str] | None = None,
    ) -> None:
        self._source = source
        self._tables = tables
        self._xid_reference = xid_reference
        self._publications = publications
        self._accepted: set[bytes] = set()
        self._plans: dict[bytes, _Plan] = {}

    def accept(self, shape: bytes) -> None:
        """Rows of this shape are decoded from now on, by what is known of their table."""
        self._accepted.add(shape)

    def know(self, tables: Tables) -> None:
        """Takes other descriptions for what is known. Every shape must be accepted anew."""
        self._tables = tables
        self._accepted.clear()
        self._plans.clear()

    def decode(self, value: bytes) -> Decoded | None:
        """The record's item; None for one that belongs to no transaction (a heartbeat, a non-transactional message).

        Raises NewShape, EnvelopeError, and ValueError or KeyError for what is no envelope at all.
        """
        cut = value.find(_PAYLOAD)
        if cut < 0 or not value.startswith(b'{"schema":'):
            raise EnvelopeError(
                "the record has no schema beside its payload: the connector's value.converter must be JsonConverter "
                "with schemas.enable=true"
            )
        shape = value[:cut]
        payload = orjson.loads(value[cut + len(_PAYLOAD) : -1])
        op = payload.get("op")
        if op is None or payload["source"]["txId"] is None:
            return None
        source, transaction = payload["source"], payload.get("transaction")
        if transaction is None:
            raise EnvelopeError("the record does not say its place: the connector needs provide.transaction.metadata")
        lsn, seq, xid = source["lsn"], transaction["total_order"] - 1, self._widen(source["txId"])
        committed_at = source["ts_us"]
        if op == "m":
            item = self._message(shape, payload["message"], xid, lsn, seq)
            return None if item is None else Decoded(item, xid, lsn, committed_at, _follows(source))
        plan = self._plans.get(shape)
        if plan is None or not plan.era.since <= lsn < plan.era.until:
            plan = self._plan(shape, source, lsn)
        unavailable = any(form in value for form in _UNAVAILABLE_FORMS)
        event = self._row(plan, op, payload, xid, lsn, seq, unavailable)
        return Decoded(event, xid, lsn, committed_at, _follows(source))

    def _row(
        self, plan: _Plan, op: str, payload: Mapping[str, Any], xid: int, lsn: int, seq: int, unavailable: bool
    ) -> ChangeEvent:
        relation = plan.relation
        if op == "t":
            return ChangeEvent(self._source, xid, lsn, seq, "t", relation, (), None, None)
        if op not in ("c", "u", "d"):
            raise EnvelopeError(f"operation {op!r} is none of a stream: the connector needs snapshot.mode=no_data")
        before, after, partial = payload["before"], payload["after"], False
        if before is not None:
            before, _ = plan.row_with_unavailable(before) if unavailable else plan.row(before)
            if plan.identity is not None:
                before = [v if i in plan.identity else UNCHANGED for i, v in enumerate(before)]
        if after is not None:
            after, partial = plan.row_with_unavailable(after) if unavailable else plan.row(after)
            if partial and before is not None:
                after = [old if new is UNCHANGED else new for old, new in zip(before, after, strict=True)]
        image = before if op == "d" else after
        if image is None:
            raise EnvelopeError(f"{relation.qualified_name}: a change {op!r} without its image")
        key = tuple([image[i] for i in plan.key])
        return ChangeEvent(self._source, xid, lsn, seq, op, relation, key, before, after)  # type: ignore[arg-type]

    def _message(self, shape: bytes, message: Mapping[str, Any], xid: int, lsn: int, seq: int) -> Item | None:
        content = message["content"] or ""
        raw = b64decode(content) if b'"type":"bytes"' in shape else bytes.fromhex(content)
        found = Message(self._source, xid, lsn, seq, message["prefix"], raw, True)
        if found.prefix != MESSAGE_PREFIX:
            return found
        try:
            change, publications = parse_schema_change(found)
        except DecodeError as error:
            raise EnvelopeError(str(error)) from None
        self._learn(change.relid)
        self._tables.learn(change)
        if self._publications is None or not self._publications.isdisjoint(publications):
            return change
        return None

    def _learn(self, relid: int) -> None:
        gone = [shape for shape, plan in self._plans.items() if plan.relation.relid == relid]
        for shape in gone:
            del self._plans[shape]
            self._accepted.discard(shape)

    def _plan(self, shape: bytes, source: Mapping[str, Any], lsn: int) -> _Plan:
        schema, table = source["schema"], source["table"]
        if shape not in self._accepted:
            raise NewShape(shape, schema, table, lsn=lsn)
        definition = self._tables.find(schema, table)
        if definition is None:
            raise TableUnknown(schema, table)
        fields = orjson.loads(shape[len(b'{"schema":') :])["fields"]
        images = {field["field"]: field for field in fields}
        row = [parse_field(field["field"], field) for field in images["after"]["fields"]]
        plan = self._plans[shape] = _Plan(row, definition, self._tables.era(definition.relid, lsn))
        return plan

    def _widen(self, xid: int) -> int:
        """The 64-bit transaction id nearest to the last one with these lower 32 bits."""
        reference = self._xid_reference
        wide = reference + ((xid - reference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        self._xid_reference = max(reference, wide)
        return wide

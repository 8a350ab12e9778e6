"""What the test of equality cannot show: names of former times, records that are no envelopes, types of contrib."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cdc.debezium.envelope import EnvelopeDecoder
from cdc.debezium.errors import EnvelopeError, NewShape
from cdc.debezium.tables import FormerColumns, Tables
from cdc.debezium.values import hstore
from cdc.events import ChangeEvent

INTEGER = {
    "oid": 23,
    "kind": "b",
    "schema": "pg_catalog",
    "base": 0,
    "base_name": None,
    "element": 0,
    "delimiter": ",",
    "fields": None,
    "labels": None,
}


def tables(columns: dict[str, int], *former: FormerColumns) -> Tables:
    """Table ``public.item`` with integer columns of these names and attribute numbers; ``id`` is its key."""
    description: dict[str, Any] = {
        "schema": "public",
        "table": "item",
        "replica_identity": "f",
        "filenode": 1,
        "key": ["id"],
        "publications": [],
        "columns": [[attnum, name, 23, -1, "integer", False, None] for name, attnum in columns.items()],
        "types": [INTEGER],
    }
    return Tables({1: description}, former)


def record(row: dict[str, int], *, lsn: int = 100, op: str = "c", **changed: Any) -> bytes:
    fields = [{"type": "int32", "optional": True, "field": name} for name in row]
    image = {"type": "struct", "fields": fields}
    schema = {"type": "struct", "fields": [{**image, "field": "before"}, {**image, "field": "after"}]}
    source = {"schema": "public", "table": "item", "txId": 7, "lsn": lsn, "ts_us": 1, "sequence": '["90","100"]'}
    payload = {
        "before": None,
        "after": row,
        "source": source,
        "transaction": {"id": "7:100", "total_order": 1},
        "op": op,
    }
    return orjson.dumps({"schema": schema, "payload": payload | changed})


def decoder(known: Tables) -> EnvelopeDecoder:
    return EnvelopeDecoder("test", known, xid_reference=5 << 32)


def decoded(made: EnvelopeDecoder, value: bytes) -> ChangeEvent:
    with pytest.raises(NewShape) as new:
        made.decode(value)
    made.accept(new.value.shape)
    found = made.decode(value)
    assert found is not None
    assert isinstance(found.item, ChangeEvent)
    return found.item


def test_a_row_has_its_place_in_the_stream() -> None:
    made = decoder(tables({"id": 1, "a": 2}))
    event = decoded(made, record({"id": 1, "a": 5}))
    assert (event.xid, event.lsn, event.seq, event.op, event.key) == ((5 << 32) + 7, 100, 0, "c", ("1",))
    assert (event.relation.names, event.after) == (("id", "a"), ["1", "5"])
    found = made.decode(record({"id": 1, "a": 5}))
    assert found is not None
    assert (found.follows, found.committed_at) == (90, 1)


def test_a_row_of_before_a_rename_comes_under_todays_name() -> None:
    made = decoder(tables({"id": 1, "label": 2}, FormerColumns(1, 200, {"id": 1, "name": 2})))
    event = decoded(made, record({"id": 1, "name": 5}, lsn=100))
    assert (event.relation.names, event.after) == (("id", "label"), ["1", "5"])


def test_a_value_whose_columns_name_is_anothers_now_is_left_out() -> None:
    made = decoder(tables({"id": 1, "a": 3}, FormerColumns(1, 200, {"id": 1, "a": 2})))
    event = decoded(made, record({"id": 1, "a": 5}, lsn=100))
    assert (event.relation.names, event.after) == (("id",), ["1"])
    later = made.decode(record({"id": 1, "a": 5}, lsn=300))
    assert later is not None
    assert isinstance(later.item, ChangeEvent)
    assert later.item.after == ["1", "5"]


def test_a_dropped_columns_value_keeps_its_name() -> None:
    made = decoder(tables({"id": 1}, FormerColumns(1, 200, {"id": 1, "gone": 2})))
    event = decoded(made, record({"id": 1, "gone": 5}, lsn=100))
    assert (event.relation.names, event.after) == (("id", "gone"), ["1", "5"])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"{}", "value.converter must be JsonConverter"),
        (record({"id": 1}, transaction=None), "provide.transaction.metadata"),
        (record({"id": 1}, op="r"), "snapshot.mode=no_data"),
        (record({"id": 1}, after=None), "without its image"),
    ],
)
def test_what_is_no_envelope_of_ours_says_why(value: bytes, problem: str) -> None:
    made = decoder(tables({"id": 1}))
    with pytest.raises(NewShape) as new:
        made.decode(record({"id": 1}))
    made.accept(new.value.shape)
    with pytest.raises(EnvelopeError, match=problem):
        made.decode(value)


def test_hstore_is_written_as_postgresql_does() -> None:
    assert hstore('{"a": "1", "b \\"c\\"": null}') == '"a"=>"1", "b \\"c\\""=>NULL'

"""The decoder alone: every message it can be sent reads back, and nothing else is accepted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import DecodeError
from cdc.events import UNCHANGED, ChangeEvent, Column, Item, Message, Value
from cdc.pgoutput import Decoder
from tests.cdc import encoder

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
columns = st.lists(
    st.builds(Column, names, st.integers(1, 2**32 - 1), st.integers(-1, 2**31 - 1), st.booleans()),
    min_size=1,
    max_size=12,
    unique_by=lambda column: column.name,
)
XID = (7 << 32) + 5000
NOW = 1_790_000_000_000_000


def decoder_for(table: list[Column], identity: str = "f", xid: int = XID) -> Decoder:
    key = tuple(column.name for column in table if column.is_key)
    decoder = Decoder("test", lambda relid, lsn, columns: key, xid_reference=XID)
    decoder.begin(encoder.begin(xid, 900, NOW))
    decoder.decode(encoder.relation(42, "sales", "Order", identity, table), 0, [])
    return decoder


def decode_one(decoder: Decoder, data: bytes, lsn: int = 100) -> Item:
    items: list[Item] = []
    decoder.decode(data, lsn, items)
    assert len(items) == 1
    return items[0]


@st.composite
def table_and_rows(draw: st.DrawFn, count: int) -> tuple[list[Column], list[list[Value]]]:
    table = draw(columns)
    value = st.none() | texts
    rows: list[list[Value]] = [draw(st.lists(value, min_size=len(table), max_size=len(table))) for _ in range(count)]
    return table, rows


@given(table_and_rows(2))
def test_rows_read_back_as_written(drawn: tuple[list[Column], list[list[Value]]]) -> None:
    table, (old, new) = drawn
    keys = [i for i, column in enumerate(table) if column.is_key]
    decoder = decoder_for(table)
    inserted = decode_one(decoder, encoder.insert(42, new))
    updated = decode_one(decoder, encoder.update(42, new, old=old))
    deleted = decode_one(decoder, encoder.delete(42, old))
    assert isinstance(inserted, ChangeEvent)
    assert isinstance(updated, ChangeEvent)
    assert isinstance(deleted, ChangeEvent)
    assert inserted.relation.columns == tuple(table)
    assert (inserted.op, inserted.before, inserted.after) == ("c", None, new)
    assert (updated.op, updated.before, updated.after) == ("u", old, new)
    assert (deleted.op, deleted.before, deleted.after) == ("d", old, None)
    assert inserted.key == updated.key == tuple(new[i] for i in keys)
    assert deleted.key == tuple(old[i] for i in keys)
    assert [inserted.seq, updated.seq, deleted.seq] == [0, 1, 2]


@given(table_and_rows(2), st.data())
def test_unchanged_toast_is_filled_from_a_full_old_image_and_else_stays(
    drawn: tuple[list[Column], list[list[Value]]], data: st.DataObject
) -> None:
    table, (old, new) = drawn
    toasted = data.draw(st.sets(st.integers(0, len(table) - 1)))
    sent: list[Value] = [UNCHANGED if i in toasted else value for i, value in enumerate(new)]
    decoder = decoder_for(table)
    filled = decode_one(decoder, encoder.update(42, sent, old=old))
    bare = decode_one(decoder, encoder.update(42, sent))
    assert isinstance(filled, ChangeEvent)
    assert isinstance(bare, ChangeEvent)
    assert filled.after == [old[i] if i in toasted else value for i, value in enumerate(new)]
    assert (bare.before, bare.after) == (None, sent)


def test_an_old_image_of_the_key_alone_leaves_the_rest_unchanged() -> None:
    table = [Column("id", 23, -1, True), Column("name", 25, -1, False)]
    decoder = decoder_for(table, identity="d")
    moved = decode_one(decoder, encoder.update(42, ["2", UNCHANGED], old=["1", None], kind=b"K"))
    gone = decode_one(decoder, encoder.delete(42, ["2", None], kind=b"K"))
    assert isinstance(moved, ChangeEvent)
    assert isinstance(gone, ChangeEvent)
    assert (moved.key, moved.before, moved.after) == (("2",), ["1", UNCHANGED], ["2", UNCHANGED])
    assert (gone.key, gone.before) == (("2",), ["2", UNCHANGED])


@given(st.integers(min_value=0, max_value=2**31 - 1), st.booleans())
def test_transaction_ids_are_widened_to_the_nearest(distance: int, later: bool) -> None:
    wide = XID + distance if later else XID - distance
    decoder = Decoder("test", lambda relid, lsn, columns: (), xid_reference=XID)
    assert decoder.begin(encoder.begin(wide, 1, NOW)).xid == wide


def test_a_message_carries_the_sequence_of_the_change_after_it() -> None:
    decoder = decoder_for([Column("id", 23, -1, True)])
    first = decode_one(decoder, encoder.message(77, "headwater.audit", b"\x00\xff"))
    changes = [decode_one(decoder, encoder.insert(42, [str(i)])) for i in range(2)]
    second = decode_one(decoder, encoder.message(99, "headwater.audit", b""))
    assert first == Message("test", XID, 77, 0, "headwater.audit", b"\x00\xff", True)
    assert [getattr(change, "seq", None) for change in changes] == [0, 1]
    assert isinstance(second, Message)
    assert second.seq == 2


def test_a_truncate_of_several_tables_is_one_event_each() -> None:
    decoder = decoder_for([Column("id", 23, -1, True)])
    decoder.decode(encoder.relation(43, "sales", "line", "d", [Column("id", 23, -1, True)]), 0, [])
    items: list[Item] = []
    decoder.decode(encoder.truncate([42, 43]), 5, items)
    assert [(i.op, i.relation.relid, i.seq, i.key) for i in items if isinstance(i, ChangeEvent)] == [
        ("t", 42, 0, ()),
        ("t", 43, 1, ()),
    ]


def test_a_key_that_is_not_among_the_columns_is_refused() -> None:
    decoder = Decoder("test", lambda relid, lsn, columns: ("number",), xid_reference=XID)
    decoder.begin(encoder.begin(XID, 900, NOW))
    decoder.decode(encoder.relation(42, "sales", "order", "f", [Column("id", 23, -1, True)]), 0, [])
    with pytest.raises(DecodeError, match=r"sales\.order.*number"):
        decoder.decode(encoder.insert(42, ["1"]), 1, [])


@st.composite
def valid_messages(draw: st.DrawFn) -> tuple[list[Column], bytes]:
    table, (old, new) = draw(table_and_rows(2))
    made = draw(
        st.sampled_from(
            [
                encoder.insert(42, new),
                encoder.update(42, new, old=old),
                encoder.update(42, new),
                encoder.delete(42, old),
                encoder.truncate([42, 42]),
                encoder.message(1, "prefix", b"content"),
                encoder.relation(7, "s", "t", "d", table),
                encoder.type_(600, "s", "t"),
                encoder.origin(9, "elsewhere"),
            ]
        )
    )
    return table, made


@given(valid_messages(), st.data())
def test_a_truncated_message_is_refused_by_letter_and_offset(
    drawn: tuple[list[Column], bytes], data: st.DataObject
) -> None:
    table, made = drawn
    kept = data.draw(st.integers(0, len(made) - 1))
    items: list[Item] = []
    with pytest.raises(DecodeError) as caught:
        decoder_for(table).decode(made[:kept], 1, items)
    assert caught.value.message_type == made[:1][:kept].decode()
    assert 0 <= caught.value.offset <= kept
    assert items == []


@given(valid_messages(), st.binary(min_size=1, max_size=8))
def test_bytes_after_a_message_are_refused(drawn: tuple[list[Column], bytes], tail: bytes) -> None:
    table, made = drawn
    with pytest.raises(DecodeError):
        decoder_for(table).decode(made + tail, 1, [])


@given(st.sampled_from("IUDTMRYOBCX"), st.binary(max_size=80))
def test_garbage_never_does_anything_but_fail_or_decode(letter: str, garbage: bytes) -> None:
    decoder = decoder_for([Column("id", 23, -1, True), Column("name", 25, -1, False)])
    for data in (letter.encode() + garbage, letter.encode() + b"\0\0\0\x2a" + garbage, garbage):
        with suppress(DecodeError):
            decoder.decode(data, 1, [])


def test_a_row_of_an_unknown_relation_and_a_row_of_another_width_are_refused() -> None:
    decoder = decoder_for([Column("id", 23, -1, True)])
    with pytest.raises(DecodeError, match="relation 43 was never described"):
        decoder.decode(encoder.insert(43, ["1"]), 1, [])
    with pytest.raises(DecodeError, match="a row of 2 columns in a relation of 1"):
        decoder.decode(encoder.insert(42, ["1", "2"]), 1, [])


def test_a_schema_change_that_cannot_be_read_is_refused() -> None:
    decoder = decoder_for([Column("id", 23, -1, True)])
    with pytest.raises(DecodeError, match=r"schema_trigger\.sql"):
        decoder.decode(encoder.message(1, "headwater.ddl", b"{}"), 1, [])


@given(st.lists(table_and_rows(1), min_size=1, max_size=5))
def test_a_whole_transaction_reads_back(drawn: list[tuple[list[Column], list[list[Value]]]]) -> None:
    frames = [(0, encoder.begin(XID, 500, NOW))]
    for relid, (table, (new,)) in enumerate(drawn, start=1):
        frames.append((0, encoder.relation(relid, "s", "t", "d", table)))
        frames.append((100 + relid, encoder.insert(relid, new)))
    frames.append((600, encoder.commit(500, 600, NOW)))
    transaction = Decoder("test", lambda relid, lsn, columns: (), xid_reference=XID).transaction(frames)
    assert (transaction.xid, transaction.commit_lsn, transaction.end_lsn) == (XID, 500, 600)
    assert transaction.committed_at == NOW
    assert [item.after for item in transaction.items if isinstance(item, ChangeEvent)] == [row for _, (row,) in drawn]
    with pytest.raises(DecodeError, match="no Commit"):
        Decoder("test", lambda relid, lsn, columns: (), xid_reference=XID).transaction(frames[:-1])

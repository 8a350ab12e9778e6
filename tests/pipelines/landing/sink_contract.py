"""What every sink must do, wherever it puts the rows. Subclass SinkContract and give it a ``harness``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest

from cdc.errors import EpochMismatch
from cdc.events import UNCHANGED, Batch, ChangeEvent, Column, Item, Op, Relation, Transaction, Value
from cdc.positions import Epoch, Position
from pipelines.landing.errors import SourceTaken
from pipelines.landing.lease import PATIENCE
from pipelines.landing.sinks.port import Sink

EPOCH = Epoch("7000000000000000001", 1, "contract")
ITEM = Relation(
    16500,
    "stock",
    "item",
    "f",
    (Column("id", 23, -1, True), Column("name", 25, -1, False), Column("note", 25, -1, False)),
)
Row = tuple[Value, ...]


class SinkHarness(Protocol):
    """Sinks of the source ``contract`` in one fresh place, and what stands there."""

    def sink(self, *, patience: float = PATIENCE) -> Sink:
        """A new sink, not open; ``patience``: seconds that it waits for a source that is taken."""

    def rows(self) -> dict[str, tuple[str | None, ...]]:
        """The living rows of ``stock.item`` by id."""

    def logged(self) -> list[tuple[int, int, int]]:
        """(xid, lsn, seq) of every row change that was logged, in order."""


def position(lsn: int, epoch: Epoch = EPOCH) -> Position:
    return Position("contract", epoch, lsn)


def change(op: Op, lsn: int, seq: int, *, before: Row | None = None, after: Row | None = None) -> ChangeEvent:
    image = after if after is not None else before
    key = () if image is None else (image[0],)
    return ChangeEvent("contract", 0, lsn, seq, op, ITEM, key, before, after)  # type: ignore[arg-type]


def insert(lsn: int, *row: Value, seq: int = 0) -> ChangeEvent:
    return change("c", lsn, seq, after=row)


def transaction(xid: int, end_lsn: int, *items: Item) -> Transaction:
    for item in items:
        item.xid = xid
    return Transaction("contract", xid, end_lsn - 1, end_lsn, 1_700_000_000_000_000 + xid, list(items))


def batch(*transactions: Transaction, lsn: int | None = None) -> Batch:
    end = transactions[-1].end_lsn if lsn is None else lsn
    return Batch("contract", position(end), list(transactions), changes=sum(len(t.items) for t in transactions))


class SinkContract:
    """A subclass defines the fixture ``harness``; each test gets a fresh one."""

    @pytest.fixture
    def harness(self) -> SinkHarness:
        raise NotImplementedError("a subclass says how its sink is made")

    @pytest.fixture
    def sink(self, harness: SinkHarness) -> Iterator[Sink]:
        sink = harness.sink()
        assert sink.open() is None
        sink.begin_epoch(position(100), "initial", None)
        yield sink
        sink.close()

    def test_the_position_is_stored_with_the_rows_and_survives(self, harness: SinkHarness, sink: Sink) -> None:
        assert sink.store(batch(transaction(1, 200, insert(150, "1", "a", None)))).changes == 1
        sink.close()
        again = harness.sink()
        assert again.open() == position(200)
        again.close()
        assert harness.rows() == {"1": ("1", "a", None)}

    def test_a_batch_delivered_twice_is_stored_once(self, harness: SinkHarness, sink: Sink) -> None:
        first = batch(transaction(1, 200, insert(150, "1", "a", None)))
        assert sink.store(first).changes == 1
        assert sink.store(first).changes == 0
        assert harness.logged() == [(1, 150, 0)]

    def test_transactions_that_are_stored_are_skipped_in_a_batch_with_new_ones(
        self, harness: SinkHarness, sink: Sink
    ) -> None:
        one, two = transaction(1, 200, insert(150, "1", "a", None)), transaction(2, 300, insert(250, "2", "b", None))
        sink.store(batch(one))
        assert sink.store(batch(one, two)).changes == 1
        assert harness.logged() == [(1, 150, 0), (2, 250, 0)]

    def test_a_batch_behind_the_position_changes_nothing(self, harness: SinkHarness, sink: Sink) -> None:
        sink.store(batch(transaction(2, 300, insert(250, "1", "new", None))))
        sink.store(batch(transaction(1, 200, insert(150, "1", "old", None))))
        assert harness.rows() == {"1": ("1", "new", None)}
        sink.close()
        again = harness.sink()
        assert again.open() == position(300)
        again.close()

    def test_the_later_commit_wins_wherever_its_change_stands(self, harness: SinkHarness, sink: Sink) -> None:
        """An insert may stand in the log before the deletion that made its key free."""
        sink.store(batch(transaction(1, 200, insert(120, "1", "old", None))))
        sink.store(batch(transaction(2, 300, change("d", 180, 0, before=("1", "old", None)))))
        sink.store(batch(transaction(3, 400, insert(150, "1", "new", None))))
        assert harness.rows() == {"1": ("1", "new", None)}

    def test_what_comes_again_changes_nothing(self, harness: SinkHarness, sink: Sink) -> None:
        older = batch(transaction(1, 200, insert(180, "1", "older", None)))
        sink.store(older)
        sink.store(batch(transaction(2, 300, change("u", 250, 0, after=("1", "newer", None)))))
        sink.store(older)
        assert harness.rows() == {"1": ("1", "newer", None)}

    def test_a_batch_that_breaks_off_leaves_nothing(self, harness: SinkHarness, sink: Sink) -> None:
        class Breaking(Sequence[Item]):
            def __len__(self) -> int:
                return 2

            def __getitem__(self, index: int) -> Item:  # type: ignore[override]
                if index == 0:
                    return insert(250, "2", "b", None)
                raise OSError("the spool is gone")

        sink.store(batch(transaction(1, 200, insert(150, "1", "a", None))))
        broken = transaction(2, 300)
        broken.items = Breaking()
        with pytest.raises(OSError, match="the spool is gone"):
            sink.store(Batch("contract", position(300), [broken], changes=2, spooled=True))
        sink.close()
        again = harness.sink()
        assert again.open() == position(200)
        assert again.store(batch(transaction(2, 300, insert(250, "2", "b", None)))).changes == 1
        again.close()
        assert harness.logged() == [(1, 150, 0), (2, 250, 0)]

    def test_the_changes_of_one_row_in_one_batch_end_in_the_last(self, harness: SinkHarness, sink: Sink) -> None:
        steps = [
            insert(110, "1", "a", "kept", seq=0),
            change("u", 120, 1, before=("1", "a", "kept"), after=("1", "b", UNCHANGED)),
            change("d", 130, 2, before=("1", "b", "kept")),
            insert(140, "1", "c", "big", seq=3),
            change("u", 150, 4, after=("1", "d", UNCHANGED)),
        ]
        sink.store(batch(transaction(1, 200, *steps)))
        assert harness.rows() == {"1": ("1", "d", "big")}
        assert len(harness.logged()) == 5

    def test_an_unchanged_value_keeps_what_is_stored(self, harness: SinkHarness, sink: Sink) -> None:
        sink.store(batch(transaction(1, 200, insert(150, "1", "a", "big"))))
        sink.store(batch(transaction(2, 300, change("u", 250, 0, after=("1", "b", UNCHANGED)))))
        assert harness.rows() == {"1": ("1", "b", "big")}

    def test_a_key_change_takes_unchanged_values_along(self, harness: SinkHarness, sink: Sink) -> None:
        sink.store(batch(transaction(1, 200, insert(150, "1", "a", "big"))))
        moved = change("u", 250, 0, before=("1", UNCHANGED, UNCHANGED), after=("2", "a", UNCHANGED))
        sink.store(batch(transaction(2, 300, moved)))
        assert harness.rows() == {"2": ("2", "a", "big")}

    def test_a_delete_of_an_unknown_row_is_kept_and_leaves_its_place_free(
        self, harness: SinkHarness, sink: Sink
    ) -> None:
        sink.store(batch(transaction(1, 200, change("d", 150, 0, before=("1", UNCHANGED, UNCHANGED)))))
        assert harness.rows() == {}
        sink.store(batch(transaction(2, 300, insert(220, "1", "again", None))))
        assert harness.rows() == {"1": ("1", "again", None)}

    def test_a_truncation_ends_every_row_before_it(self, harness: SinkHarness, sink: Sink) -> None:
        sink.store(batch(transaction(1, 200, insert(150, "1", "a", None))))
        items = [insert(210, "2", "b", None), change("t", 220, 1), insert(230, "3", "c", None, seq=2)]
        sink.store(batch(transaction(2, 300, *items)))
        assert harness.rows() == {"3": ("3", "c", None)}

    def test_a_keepalive_moves_the_position_alone(self, harness: SinkHarness, sink: Sink) -> None:
        assert sink.store(batch(lsn=500)).changes == 0
        sink.close()
        again = harness.sink()
        assert again.open() == position(500)
        again.close()
        assert harness.logged() == []

    def test_another_epoch_is_refused(self, harness: SinkHarness, sink: Sink) -> None:
        elsewhere = batch(transaction(1, 200, insert(150, "1", "a", None)))
        elsewhere.position = position(200, Epoch("7000000000000000002", 1, "contract"))
        with pytest.raises(EpochMismatch, match="headwater repair contract"):
            sink.store(elsewhere)
        assert harness.logged() == []

    def test_positions_of_a_new_epoch_may_be_lower(self, harness: SinkHarness, sink: Sink) -> None:
        sink.store(batch(transaction(1, 200, insert(150, "1", "a", None))))
        sink.begin_epoch(position(50), "repair", None)
        assert sink.store(batch(transaction(1, 80, insert(70, "2", "b", None)))).changes == 1
        assert harness.rows()["2"] == ("2", "b", None)

    def test_one_process_at_a_time_holds_a_source(self, harness: SinkHarness, sink: Sink) -> None:
        with pytest.raises(SourceTaken, match="contract"):
            harness.sink(patience=0.1).open()
        sink.close()
        second = harness.sink()
        assert second.open() == position(100)
        second.close()

"""What every source must do, whatever carries its changes. Subclass SourceContract and give it a ``harness``."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Protocol

import pytest

from cdc.errors import EpochMismatch
from cdc.events import Batch, ChangeEvent
from cdc.positions import Epoch, Position
from cdc.sources.port import Source

DEADLINE = 60.0


class SourceHarness(Protocol):
    """One streamed table ``item(id int primary key, name text)`` with full old images, and sources that read it."""

    def commit(self, *statements: str) -> None:
        """Executes the statements in one transaction of the database that is read."""

    def roll_back(self, *statements: str) -> None:
        """The same, but rolled back at the end."""

    def source(self) -> Source:
        """A new source of the same consumer (slot, consumer group), not started."""


class SourceContract:
    """A subclass defines the fixture ``harness``; each test gets a fresh one."""

    @pytest.fixture
    def harness(self) -> SourceHarness:
        raise NotImplementedError("a subclass says how its source is made")

    def test_each_committed_change_arrives_once_with_both_images(self, harness: SourceHarness) -> None:
        harness.commit("insert into item values (1, 'a'), (2, null)", "update item set name = 'b' where id = 1")
        harness.commit("delete from item where id = 2")
        source = harness.source()
        source.start(None)
        changes = changes_of(read(source, 4))
        source.close()
        assert sorted((c.key, c.op, c.before, c.after) for c in changes if c.key == ("1",)) == [
            (("1",), "c", None, ["1", "a"]),
            (("1",), "u", ["1", "a"], ["1", "b"]),
        ]
        assert [(c.op, c.before, c.after) for c in changes if c.key == ("2",)] == [
            ("c", None, ["2", None]),
            ("d", ["2", None], None),
        ]

    def test_changes_of_one_row_arrive_in_commit_order(self, harness: SourceHarness) -> None:
        harness.commit("insert into item values (1, '0')")
        for step in range(1, 20):
            harness.commit(f"update item set name = '{step}' where id = 1")
        source = harness.source()
        source.start(None)
        changes = changes_of(read(source, 20))
        source.close()
        assert [c.after and c.after[1] for c in changes] == [str(step) for step in range(20)]
        assert [(c.lsn, c.seq) for c in changes] == sorted((c.lsn, c.seq) for c in changes)

    def test_a_rolled_back_transaction_never_arrives(self, harness: SourceHarness) -> None:
        harness.roll_back("insert into item values (1, 'never')")
        harness.commit("insert into item values (2, 'kept')")
        source = harness.source()
        source.start(None)
        assert [c.key for c in changes_of(read(source, 1))] == [("2",)]
        source.close()

    def test_what_was_not_stored_is_delivered_again_with_the_same_identity(self, harness: SourceHarness) -> None:
        harness.commit("insert into item values (1, 'a'), (2, 'b')")
        first = harness.source()
        first.start(None)
        seen = identities(read(first, 2))
        first.close()
        second = harness.source()
        second.start(None)
        assert identities(read(second, 2)) == seen
        second.close()

    def test_a_stored_position_is_resumed_after_without_loss_or_repeat(self, harness: SourceHarness) -> None:
        """The consumer stored the first batch and died before it could acknowledge."""
        harness.commit("insert into item values (1, 'a')")
        first = harness.source()
        first.start(None)
        stored = read(first, 1)[-1].position
        harness.commit("insert into item values (2, 'b')")
        read(first, 1)
        first.close()
        harness.commit("insert into item values (3, 'c')")
        second = harness.source()
        second.start(stored)
        assert [c.key for c in changes_of(read(second, 2))] == [("2",), ("3",)]
        second.close()

    def test_acknowledged_changes_do_not_come_again(self, harness: SourceHarness) -> None:
        harness.commit("insert into item values (1, 'a')")
        first = harness.source()
        first.start(None)
        stored = read(first, 1)[-1].position
        first.acknowledge(stored)
        first.close()
        harness.commit("insert into item values (2, 'b')")
        second = harness.source()
        second.start(stored)
        assert [c.key for c in changes_of(read(second, 1))] == [("2",)]
        second.close()

    def test_positions_only_move_forward_and_batches_keep_to_the_cap(self, harness: SourceHarness) -> None:
        for number in range(30):
            harness.commit(f"insert into item values ({number}, 'x')")
        source = harness.source()
        source.start(None)
        batches = read(source, 30, max_changes=7)
        source.close()
        assert max(batch.changes for batch in batches) <= 7
        positions = [batch.position for batch in batches]
        assert all(later.is_after(earlier) for earlier, later in pairwise(positions))

    def test_reading_an_idle_source_gives_nothing_in_the_time_allowed(self, harness: SourceHarness) -> None:
        source = harness.source()
        source.start(None)
        began = time.monotonic()
        batch = source.read(10, 0.2)
        assert batch is None or not batch.transactions
        assert time.monotonic() - began < DEADLINE, "it hangs"
        source.close()

    def test_a_position_of_another_epoch_is_refused_with_the_repair(self, harness: SourceHarness) -> None:
        harness.commit("insert into item values (1, 'a')")
        source = harness.source()
        source.start(None)
        position = read(source, 1)[-1].position
        source.close()
        elsewhere = Position(position.source, Epoch("1", position.epoch.timeline, position.epoch.slot), position.lsn)
        with pytest.raises(EpochMismatch, match=f"headwater repair {position.source}"):
            harness.source().start(elsewhere)


def read(source: Source, changes: int, *, max_changes: int = 1000) -> list[Batch]:
    """Batches with at least ``changes`` row changes in all."""
    deadline = time.monotonic() + DEADLINE
    batches: list[Batch] = []
    while sum(batch.changes for batch in batches) < changes:
        assert time.monotonic() < deadline, f"only {batches} after {DEADLINE} s"
        batch = source.read(max_changes, 0.5)
        if batch is not None and batch.transactions:
            batches.append(batch)
    return batches


def changes_of(batches: list[Batch]) -> list[ChangeEvent]:
    items = (item for batch in batches for transaction in batch.transactions for item in transaction.items)
    return [item for item in items if isinstance(item, ChangeEvent)]


def identities(batches: list[Batch]) -> list[tuple[int, int, int]]:
    return [(change.xid, change.lsn, change.seq) for change in changes_of(batches)]

"""The sync: what it reads and writes, and that the newest document wins whoever is late."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from search.documents import load
from search.sync import Sync
from tests.mirror import put, truncate
from tests.search.world import ACME, ANN, JOSE, MUELLER, NORTH, ORDER, SUMMIT, Searching, account, order, profile


class Killed(BaseException):
    """The process ends here: nothing catches it."""


def other_sync(world: Searching, reach: Callable[[str], None]) -> Sync:
    return Sync(psycopg.connect(world.dsn("wh_owner"), autocommit=True), world.engine, reach)


def settle(sync: Sync) -> None:
    while sync.is_due():
        sync.run_pass()


def test_what_does_not_show_in_a_document_is_not_written(world: Searching) -> None:
    world.land(account(ACME, "AC-000104", "Acme Ltd"))
    world.settle()
    world.land(account(ACME, "AC-000104", "Acme Ltd", annual_revenue=5, primary_contact_id=ANN))
    (done,) = world.settle()
    assert (done.batches, done.read, done.put) == (1, 1, 0)


def test_a_change_of_a_parent_that_children_do_not_show_leaves_them_alone(world: Searching) -> None:
    world.land(account(SUMMIT, "AC-000101", "Summit Mountain Sports", industry="Wholesale"))
    (done,) = world.settle()
    assert (done.read, done.put) == (1, 1)


def test_a_rename_reaches_every_child_however_many(world: Searching) -> None:
    world.land(*(order(UUID(int=10_000 + n), f"SO-{10_000 + n}", MUELLER) for n in range(2_300)))
    world.settle()
    world.land(profile(MUELLER, "Schmidt KG"))
    (done,) = world.settle()
    assert done.put == 2_302
    assert world.find("schmidt", entities=["order"]).groups[0].total == 2_302
    assert world.find("muller", entities=["order"]).total == 0


def test_a_contact_that_changes_its_account_shows_the_new_one(world: Searching) -> None:
    world.land(put("contacts.contact", id=JOSE, account_uuid=SUMMIT))
    world.settle()
    assert JOSE in world.ids("summit")
    assert JOSE not in world.ids("fahrrader")


def test_a_truncated_table_leaves_no_document(world: Searching) -> None:
    world.land(truncate("orders.sales_order"))
    world.settle()
    assert world.find("so", entities=["order"]).total == 0


def test_a_mirror_that_was_read_anew_without_images_is_followed(world: Searching) -> None:
    world.owner.execute("update raw_contacts.account set name = 'Repaired' where account_uuid = %s", [ACME])
    world.owner.execute(
        "insert into log.snapshot (source, epoch, purpose, finished_at) values ('headwater', 1, 'repair', now())"
    )
    world.settle()
    assert world.ids("repaired") == {ACME}
    assert not world.sync.is_due()


def test_a_late_older_document_never_wins(world: Searching) -> None:
    """Two syncs at once: the slower one has read the older document and writes it after the newer one."""
    late: list[set[UUID]] = []

    def overtake(point: str) -> None:
        if point == "search.checked" and not late:
            late.append(set())
            world.land(account(ACME, "AC-000104", "Newer"))
            world.settle()
            assert world.ids("newer") == {ACME}
        elif point == "search.written" and len(late) == 1:
            late.append(world.ids("older"))

    slow = other_sync(world, overtake)
    world.land(account(ACME, "AC-000104", "Older"))
    settle(slow)
    assert late == [set(), {ACME}]  # the older one did reach the engine last
    assert world.ids("newer") == {ACME}
    assert world.ids("older") == set()
    assert world.owner.execute("select count(*) from search.writing").fetchone() == (0,)


def test_a_late_older_document_does_not_bring_a_deleted_one_back(world: Searching) -> None:
    met: list[str] = []

    def overtake(point: str) -> None:
        if point == "search.checked" and not met:
            met.append(point)
            world.land(("d", "contacts.account", {"account_uuid": ACME}))
            world.settle()

    slow = other_sync(world, overtake)
    world.land(account(ACME, "AC-000104", "Older"))
    settle(slow)
    assert met
    assert world.ids("older") == world.ids("acme") == set()


def test_an_older_document_is_not_written_once_it_is_known_to_be_overtaken(world: Searching) -> None:
    seen: list[set[UUID]] = []

    def overtake(point: str) -> None:
        if point == "search.prepared" and not seen:
            seen.append(set())
            world.land(account(ACME, "AC-000104", "Newer"))
            world.settle()
        elif point == "search.written" and len(seen) == 1:
            seen.append(world.ids("older"))

    slow = other_sync(world, overtake)
    world.land(account(ACME, "AC-000104", "Older"))
    settle(slow)
    assert seen == [set(), set()]
    assert world.ids("newer") == {ACME}


def test_what_a_dead_writer_wrote_late_is_written_anew_by_the_next(world: Searching) -> None:
    met: list[str] = []

    def overtake_and_die(point: str) -> None:
        if point == "search.checked" and not met:
            met.append(point)
            world.land(account(ACME, "AC-000104", "Newer"))
            world.settle()
        elif point == "search.written" and met:
            raise Killed

    slow = other_sync(world, overtake_and_die)
    world.land(account(ACME, "AC-000104", "Older"))
    with pytest.raises(Killed):
        settle(slow)
    assert world.ids("older") == {ACME}
    world.owner.execute("update search.writing set since = since - interval '11 minutes'")
    world.settle()
    assert world.ids("newer") == {ACME}
    assert world.ids("older") == set()


def test_a_writer_that_may_only_sleep_is_expected_once_more(world: Searching) -> None:
    def die(point: str) -> None:
        if point == "search.prepared":
            raise Killed

    slow = other_sync(world, die)
    world.land(account(ACME, "AC-000104", "Zenith"))
    with pytest.raises(Killed):
        settle(slow)
    world.settle()
    assert world.owner.execute("select count(*) from search.writing where adopted_at is not null").fetchone() == (1,)
    document = load(world.owner, "account", [ACME])[ACME]
    world.engine.write("account", [], [ACME], 1)  # the sleeper wakes, writes what it had, and dies
    world.owner.execute("update search.writing set since = since - interval '11 minutes'")
    world.settle()
    assert world.engine.stored("account", [ACME]) == {ACME: document.hash}
    assert world.owner.execute("select count(*) from search.writing").fetchone() == (0,)


def test_versions_of_a_document_only_grow(world: Searching) -> None:
    seen = []
    for n in range(3):
        world.land(account(ACME, "AC-000104", f"Name {n}"))
        world.settle()
        row = world.owner.execute("select version from search.document where id = %s", [ACME]).fetchone()
        assert row is not None
        seen.append(row[0])
    assert seen == sorted(set(seen))


def test_orders_of_one_batch_are_found_together_with_their_lines(world: Searching) -> None:
    assert world.ids("silver so 123") == {ORDER}
    world.land(("d", "orders.sales_order_line", {"id": UUID(int=ORDER.int << 8 | 1)}))
    world.settle()
    assert world.ids("silver", entities=["order"]) == set()


def test_scope_columns_alone_are_reason_enough(world: Searching) -> None:
    world.land(put("contacts.account", account_uuid=MUELLER, territory_id=NORTH))
    (done,) = world.settle()
    assert done.put == 2  # the account and its contact

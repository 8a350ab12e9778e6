"""What every engine finds, counts and leaves alone: one suite, run with both."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.mirror import delete, put
from tests.search.world import (
    ACME,
    ADMIN,
    ANN,
    BIKE,
    FOREIGN_ORDER,
    HELMET,
    JOSE,
    MUELLER,
    NORTH,
    ORDER,
    SOUTH,
    SOUTHERN_ORDER,
    SUMMIT,
    SUMMIT_EAST,
    TEAM,
    Searching,
    account,
    order,
    reader,
)


def test_the_beginning_of_a_word_finds_in_groups_of_a_fixed_order(standing: Searching) -> None:
    answer = standing.find("moun")
    assert [group.entity for group in answer.groups] == ["account", "contact", "product", "order"]
    assert {group.entity: {hit.id for hit in group.hits} for group in answer.groups} == {
        "account": {SUMMIT},
        "contact": {ANN},
        "product": {BIKE},
        "order": {ORDER},
    }
    assert [group.total for group in answer.groups] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("moutain", SUMMIT),
        ("mountian sport", SUMMIT),
        ("summti", SUMMIT_EAST),
        ("fahrader", MUELLER),
        ("helmit", HELMET),
    ],
)
def test_a_typing_mistake_in_a_longer_word_is_forgiven(standing: Searching, typed: str, meant: UUID) -> None:
    assert meant in standing.ids(typed)


def test_short_words_and_numbers_are_taken_as_they_are(standing: Searching) -> None:
    assert SUMMIT not in standing.ids("lee east xyz")
    assert standing.ids("000124") == {FOREIGN_ORDER}
    assert standing.ids("acmo") == set()


@pytest.mark.parametrize("typed", ["123", "000123", "SO123", "so-000123", "SO 123", "SO000123", "so-123"])
def test_an_order_is_found_by_its_digits(standing: Searching, typed: str) -> None:
    assert standing.find(typed, entities=["order"]).groups[0].hits[0].id == ORDER
    assert SOUTHERN_ORDER not in standing.ids(typed)


@pytest.mark.parametrize("typed", ["BK-M82S-42", "bkm82s", "m82s", "bk m82", "BKM82S42", "m82s 42"])
def test_a_product_is_found_by_parts_of_its_sku(standing: Searching, typed: str) -> None:
    assert BIKE in standing.ids(typed, entities=["product"])
    assert HELMET not in standing.ids(typed, entities=["product"])


@pytest.mark.parametrize("typed", ["muller", "Müller", "MÜLLER", "fahrrader", "zurich", "Zürich", "Mu\u0308ller"])
def test_accents_and_case_do_not_matter(standing: Searching, typed: str) -> None:
    assert MUELLER in standing.ids(typed)


def test_accents_do_not_matter_in_names_of_people(standing: Searching) -> None:
    assert standing.ids("jose garcia") == {JOSE}


def test_every_word_must_be_found(standing: Searching) -> None:
    assert standing.ids("summit mountain") >= {SUMMIT}
    assert SUMMIT_EAST not in standing.ids("summit mountain")
    assert standing.ids("summit zurich") == set()


def test_the_whole_name_comes_before_names_that_begin_with_it(world: Searching) -> None:
    world.land(account(UUID(int=77), "AC-000777", "Acme Mountain East"), account(UUID(int=78), "AC-000778", "Acmex"))
    world.settle()
    assert next(hit.id for hit in world.find("acme", entities=["account"]).groups[0].hits) == ACME


def test_an_order_is_found_by_its_account_and_by_what_was_ordered(standing: Searching) -> None:
    assert {ORDER} == standing.ids("summit", entities=["order"])
    assert {ORDER} == standing.ids("silver", entities=["order"])
    assert {SOUTHERN_ORDER} == standing.ids("po 77", entities=["order"])


def test_a_product_is_found_by_every_category_above_it(standing: Searching) -> None:
    assert {BIKE} == standing.ids("bikes", entities=["product"])


def test_filters_narrow_and_unknown_values_find_nothing(standing: Searching) -> None:
    assert standing.ids("so", filters={"status": ["draft"]}) == {FOREIGN_ORDER}
    assert standing.ids("so", entities=["order"], filters={"status": ["draft", "confirmed"], "year": ["2026"]}) == {
        ORDER,
        FOREIGN_ORDER,
        SOUTHERN_ORDER,
    }
    assert standing.ids("so", filters={"account": [str(MUELLER)], "status": ["confirmed"]}) == {SOUTHERN_ORDER}
    assert standing.ids("ac", filters={"account_type": ["Vendor"]}) == {ACME}
    for value in ('draft" OR status = "x', "draft] OR facets EXISTS", "*", "", "'", "\\"):
        assert standing.ids("so", filters={"status": [value]}) == set()


def test_what_was_deleted_is_not_found(world: Searching) -> None:
    world.land(delete("contacts.account", account_uuid=ACME), delete("orders.sales_order", id=ORDER))
    world.settle()
    assert world.ids("acme") == set()
    assert world.find("acme").total == 0
    assert ORDER not in world.ids("summit")


def test_what_changed_is_found_by_its_new_words_alone(world: Searching) -> None:
    world.land(account(ACME, "AC-000104", "Zenith"))
    world.settle()
    assert world.ids("zenith") == {ACME}
    assert world.ids("acme") == set()


def test_a_rename_reaches_the_documents_of_contacts_and_orders(world: Searching) -> None:
    world.land(
        account(SUMMIT, "AC-000101", "Pinnacle"),
        put("orders.account_profile", account_uuid=SUMMIT, name="Pinnacle"),
        put("inventory.product_category", id=UUID(int=5 << 64 | 1), name="Velocipedes"),
    )
    world.settle()
    assert world.ids("pinnacle") == {SUMMIT, ANN, ORDER}
    assert world.ids("velocipedes") == {BIKE}
    assert world.ids("summit mountain", entities=["account", "contact"]) == set()


def test_groups_continue_where_a_page_ended(world: Searching) -> None:
    numbers = range(200, 230)
    world.land(*(order(UUID(int=n), f"SO-{n:06d}", SUMMIT, territory_id=NORTH) for n in numbers))
    world.settle()
    seen: list[UUID] = []
    after: str | None = None
    while True:
        group = world.find("so", entities=["order"], limit=7, after=after).groups[0]
        assert group.total == 33
        seen += [hit.id for hit in group.hits]
        after = group.after
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 33


def test_alice_finds_what_is_of_her_territory_and_charlie_does_not_learn_of_it(standing: Searching) -> None:
    alice = reader("sales_rep", territory=NORTH)
    charlie = reader("sales_rep", territory=SOUTH)
    bob = reader(territory=NORTH)
    assert standing.ids("summit", alice) == {SUMMIT, SUMMIT_EAST, ANN, ORDER}
    for who in (bob, charlie):
        answer = standing.find("summit", who)
        assert (answer.groups, answer.total, answer.completions, answer.suggestions) == ((), 0, (), ())
    assert standing.find("sumit", charlie).suggestions == ()
    assert standing.ids("so", charlie) == {SOUTHERN_ORDER}
    assert standing.find("so", charlie, entities=["order"]).total == 1


def test_the_name_of_an_account_out_of_scope_neither_finds_nor_shows_in_its_orders(standing: Searching) -> None:
    alice = reader("sales_rep", territory=NORTH)
    answer = standing.find("muller", alice)
    assert (answer.total, answer.groups, answer.completions) == (0, (), ())
    order = standing.find("124", alice).groups[0].hits[0]
    assert order.id == FOREIGN_ORDER
    assert "Müller" not in str(order)
    assert "Müller" in str(standing.find("124").groups[0].hits[0])
    assert standing.find("so", alice, entities=["order"]).total == 2


def test_team_and_ownership_open_rows_too(world: Searching) -> None:
    manager = reader("sales_manager", team=TEAM, user=5)
    assert world.ids("summit", manager) == {SUMMIT_EAST}
    world.land(account(ACME, "AC-000104", "Acme", owner_id=manager.user_id))
    world.settle()
    assert world.ids("acme", manager) == {ACME}


def test_a_row_that_moves_away_is_not_found_by_those_it_left(world: Searching) -> None:
    alice, charlie = reader("sales_rep", territory=NORTH), reader("sales_rep", territory=SOUTH)
    world.land(account(SUMMIT, "AC-000101", "Summit Mountain Sports", territory_id=SOUTH))
    world.settle()
    assert SUMMIT not in world.ids("summit", alice)
    assert SUMMIT in world.ids("summit", charlie)


def test_each_role_finds_what_it_may_read(standing: Searching) -> None:
    clerk = reader("warehouse_clerk", territory=NORTH)
    assert {group.entity for group in standing.find("mountain", clerk).groups} == {"product", "order"}
    assert {g.entity for g in standing.find("mountain", reader("hr_officer")).groups} == set()
    assert {g.entity for g in standing.find("mountain", reader("auditor")).groups} == {
        "account",
        "contact",
        "product",
        "order",
    }


def test_every_source_has_a_watermark_up_to_what_is_found(world: Searching) -> None:
    position = world.owner.execute("select lsn::text, committed_at from log.position").fetchone()
    (mark,) = world.find("summit").watermark
    assert (mark.source, mark.lsn, mark.committed_at) == ("headwater", *position)
    world.land(account(ACME, "AC-000104", "Later"))
    (waiting,) = world.find("summit").watermark
    assert waiting.committed_at == mark.committed_at
    world.settle()
    (caught_up,) = world.find("later").watermark
    assert caught_up.committed_at > mark.committed_at


def test_hits_are_marked_and_never_markup(world: Searching) -> None:
    world.land(account(ACME, "AC-000104", "<b>Mount</b> & <script>alert(1)</script>"))
    world.settle()
    hit = world.find("mount", ADMIN, entities=["account"], limit=10).groups[0].hits
    found = next(h for h in hit if h.id == ACME)
    assert found.title.text == "<b>Mount</b> & <script>alert(1)</script>"
    assert [piece.text for piece in found.title.pieces() if piece.marked] == ["Mount"]
    assert "".join(piece.text for piece in found.title.pieces()) == found.title.text


def test_completions_and_suggestions_come_from_what_was_found(standing: Searching) -> None:
    assert "Summit Mountain Sports" in standing.find("sum").completions
    assert "mountain" in standing.find("moutain").suggestions
    assert standing.find("summit").suggestions == ()

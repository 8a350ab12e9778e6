"""Comparing an index with its documents: what is missing, drifted, orphaned is found and mended."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from search.documents import load
from search.entities import ENTITIES
from search.reconciling import reconcile
from search.sync import Pass
from tests.search.world import ACME, SUMMIT, SUMMIT_EAST, Searching, order


def differences(world: Searching) -> dict[tuple[str, str], set[UUID]]:
    found: dict[tuple[str, str], set[UUID]] = {}
    for entity in ENTITIES:
        for difference in reconcile(world.owner, world.engine, entity.name):
            found.setdefault((difference.entity, difference.kind), set()).update(difference.ids)
    return found


def test_an_index_that_is_right_has_no_differences(world: Searching) -> None:
    assert differences(world) == {}


def test_each_kind_of_difference_is_found_and_mended(world: Searching) -> None:
    document = load(world.owner, "account", [SUMMIT])[SUMMIT]
    stranger = replace(document, id=UUID(int=999))
    drifted = replace(document, searched={**document.searched, "name": "something else"})
    world.engine.write("account", [stranger, drifted], [ACME], 1)
    found = differences(world)
    assert found == {
        ("account", "missing"): {ACME},
        ("account", "drifted"): {SUMMIT},
        ("account", "orphaned"): {UUID(int=999)},
    }
    for (entity, _), ids in found.items():
        world.sync.bring(entity, sorted(ids), Pass(), force=True)
    assert differences(world) == {}
    assert world.ids("summit", entities=["account"]) == {SUMMIT, SUMMIT_EAST}
    assert world.ids("acme") == {ACME}


def test_more_documents_than_are_held_at_once_are_compared(world: Searching) -> None:
    ids = [UUID(int=20_000 + n) for n in range(4_500)]
    world.land(*(order(id, f"SO-{id.int}", ACME) for id in ids))
    world.settle()
    world.engine.write("order", [], [ids[7], ids[-1]], 1)
    assert differences(world) == {("order", "missing"): {ids[7], ids[-1]}}

"""Role × object × way of looking: what the write services refuse somebody, nothing else shows or counts for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from policy.roles import ROLES
from tests.leaks.eyes import ENTITIES, PAGES, Eyes
from tests.leaks.plot import PLACES, WORD, Plot, Thing, lay
from tests.stack import Stack

EVERYTHING = frozenset(PLACES)
NORTH = frozenset({"north"})
NOTHING: frozenset[str] = frozenset()
EXPECTED = {
    "admin": (EVERYTHING, EVERYTHING, EVERYTHING),
    "service": (EVERYTHING, EVERYTHING, EVERYTHING),
    "auditor": (EVERYTHING, EVERYTHING, EVERYTHING),
    "sales_rep": (NORTH, NORTH, NORTH),
    "sales_manager": (NORTH, NORTH, NORTH),
    "support_agent": (NORTH, NORTH, NORTH),
    "accountant": (NORTH, NORTH, NORTH),
    "marketer": (NORTH, NORTH, NORTH),
    "analyst": (NORTH, NORTH, NORTH),
    "warehouse_clerk": (NOTHING, NOTHING, NORTH),
    "hr_officer": (NOTHING, NOTHING, NOTHING),
    "roleless": (NOTHING, NOTHING, NOTHING),
}
"""Role → whose accounts, contacts and orders somebody of the north sees with it."""

WAYS = {
    "API get",
    "timeline",
    "360",
    "search",
    "suggest",
    "list page",
    "export",
    "record page",
    "warehouse SQL",
}
"""Ways in which an administrator is shown every object that they concern."""

REPORT = Path(__file__).resolve().parents[2] / "build" / "leaks.md"


@pytest.fixture(scope="module")
def plot(stack: Stack) -> Plot:
    return lay(stack)


@pytest.fixture(scope="module", autouse=True)
def report() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(["| role | way | texts looked at | leaks |", "|---|---|---|---|", *lines, ""]))


def expected(role: str, thing: Thing) -> bool:
    return thing.place in EXPECTED[role][list(ENTITIES).index(thing.resource)]


def test_every_role_is_in_the_matrix() -> None:
    assert {*ROLES, "roleless"} == set(EXPECTED)


@pytest.mark.parametrize("role", EXPECTED)
def test_nothing_leaks(plot: Plot, role: str, report: list[str]) -> None:
    username = next(name for name, has in plot.users.items() if has == role)
    with closing(Eyes(plot, username)) as eyes:
        for thing in plot.things:
            assert eyes.may_see(thing) == expected(role, thing), (role, thing)
        forbidden = eyes.forbidden
        looked: Counter[str] = Counter()
        leaks: Counter[str] = Counter()
        found: dict[str, set[str]] = {}
        for way, text in eyes.ways():
            looked[way] += 1
            given_away = {word for word in forbidden if word in text}
            leaks[way] += len(given_away)
            assert not given_away, (role, way, text[: text.find(next(iter(given_away))) + 200][-600:])
            found.setdefault(way, set()).update(word for word in plot.secrets if word in text)
        report += [f"| {role} | {way} | {looked[way]} | {leaks[way]} |" for way in sorted(looked)]
        if role == "admin":
            assert not forbidden
            # An empty answer gives nothing away either: each way must be one on which there is something to see.
            assert {way for way, words in found.items() if words} >= WAYS
            assert found["API get"] == found["warehouse SQL"] == plot.secrets
        _counts(eyes, role)


def _counts(eyes: Eyes, role: str) -> None:
    """Totals are of what may be seen, no more and no less."""
    answer = eyes.search(WORD, limit="50")
    totals = {group["entity"]: group["total"] for group in answer["groups"]}
    hits = {hit["id"] for group in answer["groups"] for hit in group["hits"]}
    for resource, entity in ENTITIES.items():
        seen = [thing.key for thing in eyes.plot.of(resource) if expected(role, thing)]
        assert hits.isdisjoint({thing.key for thing in eyes.plot.of(resource)} - set(seen)), (role, entity)
        if resource != "orders.sales_order":  # an order is found by its account's name too, where that may be seen
            assert totals.get(entity, 0) == len(seen), (role, entity, totals)
        counted = eyes.browser.get(f"/{PAGES[resource]}/totals", params={"q": WORD})
        if seen and resource == "contacts.account":
            assert f"{len(seen)} account" in counted.text, (role, resource)

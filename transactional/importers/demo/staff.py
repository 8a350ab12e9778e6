"""Territories, teams and the people who work at the demo company."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import polars as pl

from transactional.importers.company import TEAM, TERRITORY, USER, shaped
from transactional.importers.demo.words import FAMILY_NAMES, GIVEN_NAMES, TERRITORIES

_FILE = "demo"
GROUPS = ("North America", "Europe", "Asia-Pacific")
REPS_PER_TERRITORY = 2


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody of the staff. ``territories`` and ``team`` are references."""

    username: str
    name: str
    role: str
    team: str
    territories: tuple[str, ...] = ()


def territory_ref(index: int) -> str:
    return f"territory:{index + 1}"


def team_ref(group: str) -> str:
    return f"team:{group.lower().replace(' ', '-')}"


def user_ref(username: str) -> str:
    return f"user:{username}"


def group_territories(group: str) -> tuple[str, ...]:
    return tuple(territory_ref(i) for i, territory in enumerate(TERRITORIES) if territory[2] == group)


EVERYWHERE = tuple(territory_ref(i) for i in range(len(TERRITORIES)))

CAST = (
    Seat("alice", "Alice Andersen", "sales_rep", team_ref("North America"), (territory_ref(0),)),
    Seat("bob", "Bob Brennan", "support_agent", team_ref("North America"), (territory_ref(0),)),
    Seat("charlie", "Charlie Castillo", "sales_rep", team_ref("Europe"), (territory_ref(4),)),
    Seat("dana", "Dana Dvořák", "accountant", "team:office", EVERYWHERE),
    Seat("erin", "Erin Eriksen", "sales_manager", team_ref("North America"), group_territories("North America")),
    Seat("frank", "Frank Fischer", "analyst", "team:office", group_territories("Europe")),
    Seat("grace", "Grace Gomes", "warehouse_clerk", "team:office", EVERYWHERE),
)
"""People to try it as: Alice sells in New England, Bob is of her team in another role, Charlie sells elsewhere."""


def territories() -> pl.DataFrame:
    rows = [
        {
            "ref": territory_ref(i),
            "file": _FILE,
            "row": i + 1,
            "name": name,
            "country_code": country,
            "group_name": group,
        }
        for i, (name, country, group, *_) in enumerate(TERRITORIES)
    ]
    return shaped(pl.DataFrame(rows), TERRITORY)


def teams() -> pl.DataFrame:
    names = [("team:company", "Larkfield Supply", None), ("team:office", "Larkfield Office", "team:company")]
    names += [("team:sales", "Larkfield Sales", "team:company")]
    names += [(team_ref(group), f"{group} Sales", "team:sales") for group in GROUPS]
    rows = [
        {"ref": ref, "file": _FILE, "row": i + 1, "name": name, "parent_ref": parent}
        for i, (ref, name, parent) in enumerate(names)
    ]
    return shaped(pl.DataFrame(rows), TEAM)


def reps(territory: int) -> list[str]:
    """References of the sales representatives of the territory; Alice and Charlie are the first of theirs."""
    cast = [
        user_ref(s.username) for s in CAST if s.role == "sales_rep" and s.territories == (territory_ref(territory),)
    ]
    return [*cast, *(user_ref(f"rep{territory + 1}{i + 1}") for i in range(REPS_PER_TERRITORY))]


def users(random: Random) -> pl.DataFrame:
    def name() -> str:
        return f"{random.choice(GIVEN_NAMES)} {random.choice(FAMILY_NAMES)}"

    seats = list(CAST)
    for i, territory in enumerate(TERRITORIES):
        seats += [
            Seat(f"rep{i + 1}{n + 1}", name(), "sales_rep", team_ref(territory[2]), (territory_ref(i),))
            for n in range(REPS_PER_TERRITORY)
        ]
    seats += [
        Seat(
            f"manager-{group.split()[0].split('-')[0].lower()}",
            name(),
            "sales_manager",
            team_ref(group),
            group_territories(group),
        )
        for group in GROUPS[1:]
    ]
    rows = [
        {
            "ref": user_ref(seat.username),
            "file": _FILE,
            "row": i + 1,
            "username": seat.username,
            "display_name": seat.name,
            "email": f"{seat.username}@larkfield.example",
            "roles": [seat.role],
            "team_ref": seat.team,
            "territory_refs": list(seat.territories),
        }
        for i, seat in enumerate(seats)
    ]
    return shaped(pl.DataFrame(rows), USER)

"""A sales pipeline that nobody here prepared, by the mappings of the guide: its published totals come out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from headwater.state import PROJECT
from tests.cast import the_cast
from tests.datasets import folder
from tests.world import World
from transactional.importers.tabular import mapping, run
from transactional.importers.tabular.outcome import Outcome
from transactional.importers.tabular.targets import targets

MAPPINGS = PROJECT / "docs" / "examples" / "crm_sales"
WON, VALUE = 4_238, Decimal("10005534")


@pytest.fixture(scope="module")
def files() -> Path:
    return folder("crm_sales")


def load(world: World, files: Path, name: str, file: str, rejects: Path | None = None) -> Outcome:
    known = targets()
    rules = mapping.load(MAPPINGS / f"{name}.toml", known)
    ctx = the_cast("sales_rep").admin.ctx(reason="import of a test")
    outcome = run.import_file(files / f"{file}.csv.gz", rules, known, ctx, rejects=rejects)
    world.deliver("orders")
    return outcome


@pytest.fixture(scope="module")
def outcomes(world: World, files: Path) -> dict[str, Outcome]:
    steps = {
        "1-teams": "sales_teams",
        "2-users": "sales_teams",
        "3-categories": "products",
        "4-products": "products",
        "5-accounts": "accounts",
        "6-deals": "sales_pipeline",
    }
    return {name: load(world, files, name, file) for name, file in steps.items()}


def test_every_row_that_should_is_created(outcomes: dict[str, Outcome]) -> None:
    counted = {name: (o.created, o.repeated, o.left_out, o.rejected) for name, o in outcomes.items()}
    assert counted == {
        "1-teams": (6, 29, 0, 0),
        "2-users": (35, 0, 0, 0),
        "3-categories": (3, 4, 0, 0),
        "4-products": (7, 0, 0, 0),
        "5-accounts": (85, 0, 0, 0),
        "6-deals": (WON, 0, 8_800 - WON, 0),
    }


def test_the_published_totals_come_out(world: World, outcomes: dict[str, Outcome]) -> None:
    (total,) = world.rows("select count(*) as orders, sum(sub_total) as value from orders.sales_order")
    assert (total["orders"], total["value"]) == (WON, VALUE)
    (top,) = world.rows(
        "select display_name, count(*) as deals, sum(sub_total) as value from orders.sales_order"
        " join identity.user_account on user_account.id = owner_id group by 1 order by 3 desc limit 1"
    )
    assert tuple(top.values()) == ("Darcel Schlecht", 349, Decimal("1153214"))


def test_units_countries_and_parents_are_read_as_meant(world: World, outcomes: dict[str, Outcome]) -> None:
    rows = world.rows(
        "select child.annual_revenue, child.billing_address ->> 'country' as country, child.industry,"
        " child.custom, parent.name as parent from contacts.account as child"
        " left join contacts.account as parent on parent.account_uuid = child.parent_id"
        " where child.name in ('Acme Corporation', 'Bluth Company', 'Zoomzone')"
        " or child.billing_address ->> 'country' = 'PH' order by child.name"
    )
    assert rows[0]["annual_revenue"] == Decimal("1100040000")
    assert rows[0]["industry"] == "technology"
    assert rows[0]["custom"] == {"employees": 2822, "year_established": 1996}
    assert "PH" in {row["country"] for row in rows}
    assert world.rows("select count(parent_id) as n from contacts.account") == [{"n": 15}]


def test_importing_again_changes_nothing(world: World, files: Path, outcomes: dict[str, Outcome]) -> None:
    again = load(world, files, "6-deals", "sales_pipeline")
    assert (again.created, again.unchanged, again.rejected) == (0, WON, 0)


def test_what_the_source_misspells_is_refused_with_advice(
    world: World, files: Path, outcomes: dict[str, Outcome], tmp_path: Path
) -> None:
    known = targets()
    text = (MAPPINGS / "5-accounts.toml").read_text().replace('values = { Philipines = "PH" }', "")
    (tmp_path / "accounts.toml").write_text(text.replace('source = "crm_sales"', 'source = "again"'))
    ctx = the_cast("sales_rep").admin.ctx()
    rules = mapping.load(tmp_path / "accounts.toml", known)
    outcome = run.import_file(files / "accounts.csv.gz", rules, known, ctx, rehearsal=True)
    assert (outcome.created, outcome.rejected) == (84, 1)
    (problem,) = outcome.problems
    assert (problem.column, problem.value) == ("office_location", "Philipines")
    assert problem.advice == 'Perhaps Philippines is meant: values = { "Philipines" = "PH" }.'

"""Territories in four regions, and the employees: who manages others has a team."""

from __future__ import annotations

import polars as pl

from transactional.importers.company import TEAM, TERRITORY, USER, shaped
from transactional.importers.files import reference
from transactional.importers.northwind import tables
from transactional.importers.northwind.files import Files
from transactional.importers.sheets import unknown

SALES = "team:sales"
"""The team of everybody who sells; each manager's own team stands below it."""


def territories(files: Files) -> pl.DataFrame:
    """53 towns, all in the United States. New York stands there twice: a name that repeats carries its postal code."""
    regions = files.read(tables.REGION)
    raw = unknown(files.raw(tables.TERRITORY), "region_id", regions["region_id"], "region")
    name = pl.col("territory_description").str.strip_chars()
    return shaped(
        files.usable(raw, tables.TERRITORY)
        .join(regions.drop("row"), on="region_id")
        .sort("row")
        .select(
            "row",
            ref=reference("territory", "territory_id"),
            file=pl.lit(tables.TERRITORY.file),
            name=pl.when(name.is_duplicated()).then(pl.format("{} {}", name, "territory_id")).otherwise(name),
            country_code=pl.lit("US"),
            group_name=pl.col("region_description").str.strip_chars(),
        ),
        TERRITORY,
    )


def teams_and_users(files: Files, lands: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A team per employee to whom others report; a user per employee, in the own team if there is one."""
    raw = files.raw(tables.EMPLOYEE)
    employees = files.usable(unknown(raw, "reports_to", raw["employee_id"], "employee"), tables.EMPLOYEE)
    employees = employees.with_columns(
        manages=pl.col("employee_id").is_in(employees["reports_to"].drop_nulls().implode()),
        name=pl.format("{} {}", "first_name", "last_name"),
    )
    root = pl.DataFrame(
        {"ref": [SALES], "file": [tables.EMPLOYEE.file], "row": [0], "name": ["Northwind Traders Sales"]}
    )
    teams = employees.filter("manages").select(
        "row",
        ref=reference("team", "employee_id"),
        file=pl.lit(tables.EMPLOYEE.file),
        name=pl.format("Northwind Traders, {}", "name"),
        parent_ref=pl.when(pl.col("reports_to").is_null())
        .then(pl.lit(SALES))
        .otherwise(reference("team", "reports_to")),
    )
    raw = files.raw(tables.EMPLOYEE_TERRITORY).with_columns(territory_ref=reference("territory", "territory_id"))
    raw = unknown(raw, "employee_id", employees["employee_id"], "employee")
    raw = unknown(raw, "territory_ref", lands["ref"], "territory", called="territory_id")
    places = (
        files.usable(raw, tables.EMPLOYEE_TERRITORY)
        .group_by("employee_id", maintain_order=True)
        .agg(territory_refs="territory_ref")
    )
    users = employees.join(places, on="employee_id", how="left").select(
        "row",
        ref=reference("user", "employee_id"),
        file=pl.lit(tables.EMPLOYEE.file),
        username=pl.format("{}.{}", "first_name", "last_name").str.to_lowercase(),
        display_name="name",
        roles=pl.when("manages")
        .then(pl.lit("sales_manager"))
        .otherwise(pl.lit("sales_rep"))
        .reshape((-1, 1))
        .arr.to_list(),
        team_ref=pl.when("manages")
        .then(reference("team", "employee_id"))
        .otherwise(pl.coalesce(reference("team", "reports_to"), pl.lit(SALES))),
        territory_refs=pl.col("territory_refs").fill_null(pl.lit([], dtype=pl.List(pl.String))),
    )
    return pl.concat([shaped(root, TEAM), shaped(teams, TEAM)]), shaped(users, USER)

"""Territories, and the people who sell: each sales person a user, in the team of the manager above."""

from __future__ import annotations

import polars as pl

from transactional.importers.adventureworks import tables
from transactional.importers.adventureworks.files import Files
from transactional.importers.company import TEAM, TERRITORY, USER, shaped
from transactional.importers.files import reference
from transactional.importers.sheets import unknown

_SALES = "team:sales"
_GROUP_OF_TEAM = {"North American Sales": "North America", "European Sales": "Europe", "Pacific Sales": "Pacific"}
"""A manager without a territory answers for the whole group of territories that the title names."""


def territories(files: Files) -> pl.DataFrame:
    frame = files.read(tables.TERRITORY)
    return shaped(
        frame.select(
            "row",
            ref=reference("territory", "TerritoryID"),
            file=pl.lit(tables.TERRITORY.file),
            name="Name",
            country_code="CountryRegionCode",
            group_name="Group",
        ),
        TERRITORY,
    )


def teams_and_users(files: Files, lands: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A team per sales manager under one team *Adventure Works Sales*; a user per row of SalesPerson.

    The organisation tree says who is whose: a representative's node ``/6/1/3/`` lies below the manager's ``/6/1/``.
    """
    employees = files.read(tables.EMPLOYEE)
    persons = files.raw(tables.PERSON).filter(pl.col("problem").is_null())
    emails = first_email(files)
    raw = files.raw(tables.SALES_PERSON)
    raw = unknown(raw, "BusinessEntityID", employees["BusinessEntityID"], "employee")
    raw = unknown(raw, "BusinessEntityID", persons["BusinessEntityID"], "person")
    raw = raw.with_columns(territory_ref=reference("territory", "TerritoryID"))
    raw = unknown(raw, "territory_ref", lands["ref"], "territory", called="TerritoryID")
    sellers = (
        files.usable(raw, tables.SALES_PERSON)
        .join(employees.drop("row"), on="BusinessEntityID")
        .join(persons.select("BusinessEntityID", "FirstName", "LastName"), on="BusinessEntityID")
        .join(emails, on="BusinessEntityID", how="left")
        .with_columns(
            manages=pl.col("JobTitle").str.ends_with("Sales Manager"),
            branch=pl.col("OrganizationNode").str.extract(r"^(/\d+/\d+/)"),
        )
    )
    managers = sellers.filter("manages").select(
        "row",
        "branch",
        ref=pl.format("team:{}", "BusinessEntityID"),
        file=pl.lit(tables.SALES_PERSON.file),
        name=pl.col("JobTitle").str.strip_suffix(" Manager"),
        parent_ref=pl.lit(_SALES),
    )
    root = pl.DataFrame(
        {"ref": [_SALES], "file": [tables.SALES_PERSON.file], "row": [0], "name": ["Adventure Works Sales"]}
    )
    groups = lands.group_by("group_name").agg(group_territories=pl.col("ref").sort())
    users = (
        sellers.join(
            managers.select(
                "branch", team_ref="ref", group_name=pl.col("name").replace_strict(_GROUP_OF_TEAM, default=None)
            ),
            on="branch",
            how="left",
        )
        .join(groups, on="group_name", how="left")
        .sort("row")
        .select(
            "row",
            ref=reference("user", "BusinessEntityID"),
            file=pl.lit(tables.SALES_PERSON.file),
            username=_plain(pl.col("LoginID").str.split("\\").list.last()),
            display_name=pl.format("{} {}", "FirstName", "LastName"),
            email="EmailAddress",
            roles=pl.when("manages")
            .then(pl.lit("sales_manager"))
            .otherwise(pl.lit("sales_rep"))
            .reshape((-1, 1))
            .arr.to_list(),
            team_ref=pl.col("team_ref").fill_null(_SALES),
            territory_refs=pl.when(pl.col("territory_ref").is_not_null())
            .then(pl.concat_list("territory_ref"))
            .otherwise(pl.coalesce("group_territories", pl.lit([], dtype=pl.List(pl.String)))),
        )
    )
    return pl.concat([shaped(root, TEAM), shaped(managers, TEAM)]), shaped(users, USER)


def _plain(name: pl.Expr) -> pl.Expr:
    """Lower case without accents, as usernames are: ``josé1`` becomes ``jose1``."""
    return name.str.normalize("NFD").str.replace_all(r"\p{M}", "").str.to_lowercase()


def first_email(files: Files) -> pl.DataFrame:
    """``BusinessEntityID`` → ``EmailAddress``: the first one a person has."""
    emails = files.raw(tables.EMAIL).filter(pl.col("problem").is_null() & pl.col("EmailAddress").is_not_null())
    return emails.sort("EmailAddressID").group_by("BusinessEntityID").first().select("BusinessEntityID", "EmailAddress")

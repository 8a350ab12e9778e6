"""Customers as accounts, and the persons behind them as contacts."""

from __future__ import annotations

import polars as pl

from transactional.importers.adventureworks import tables
from transactional.importers.adventureworks.files import Files
from transactional.importers.adventureworks.sellers import first_email
from transactional.importers.company import ACCOUNT, CONTACT, shaped
from transactional.importers.files import reference
from transactional.importers.sheets import flag, unknown

_CUSTOMER_PERSONS = ("IN", "SC", "GC")
"""Individual customers, store contacts and general contacts; employees and vendors' people are no customers."""


def customers(
    files: Files,
    *,
    addresses: pl.DataFrame,
    territories: pl.DataFrame,
    users: pl.DataFrame,
    currencies: pl.DataFrame,
) -> pl.DataFrame:
    """One account per row of Customer, parents first.

    Of a store's rows the first is the store; a further one (it names a person too) is that buyer's account below it.
    An account of a store belongs to the store's sales person and that person's team. ``currencies`` says in which
    currency a customer last ordered; USD where it never did.
    """
    persons = _persons(files)
    raw = files.raw(tables.STORE).with_columns(owner_ref=reference("user", "SalesPersonID"))
    raw = unknown(raw, "owner_ref", users["ref"], "sales person", called="SalesPersonID")
    stores = files.usable(raw, tables.STORE).with_columns(
        annual_revenue=pl.col("Demographics")
        .str.extract(r"<AnnualRevenue>([\d.]+)</AnnualRevenue>")
        .cast(pl.Decimal(19, 4))
    )
    used = _addresses_in_use(files, addresses)
    raw = files.raw(tables.CUSTOMER).with_columns(territory_ref=reference("territory", "TerritoryID"))
    raw = flag(raw, pl.col("StoreID").is_null() & pl.col("PersonID").is_null(), "it names neither a store nor a person")
    raw = unknown(raw, "StoreID", stores["BusinessEntityID"], "store")
    raw = unknown(raw, "PersonID", persons["BusinessEntityID"], "person")
    raw = unknown(raw, "territory_ref", territories["ref"], "territory", called="TerritoryID")
    frame = (
        files.usable(raw, tables.CUSTOMER)
        .with_columns(store_ref=pl.col("CustomerID").min().over("StoreID"))
        .with_columns(is_child=pl.col("StoreID").is_not_null() & (pl.col("CustomerID") != pl.col("store_ref")))
        .join(
            persons.select(PersonID="BusinessEntityID", person=_full_name()),
            on="PersonID",
            how="left",
        )
        .join(
            stores.select("annual_revenue", "owner_ref", StoreID="BusinessEntityID", store="Name"),
            on="StoreID",
            how="left",
        )
        .with_columns(place=pl.coalesce("StoreID", "PersonID"))
        .join(used, left_on="place", right_on="BusinessEntityID", how="left")
        .join(users.select(owner_ref="ref", team_ref="team_ref"), on="owner_ref", how="left")
        .join(currencies, on="CustomerID", how="left")
        .sort("is_child", "CustomerID")
        .select(
            "row",
            "annual_revenue",
            "billing_address",
            "shipping_address",
            "owner_ref",
            "team_ref",
            "territory_ref",
            "CustomerID",
            "PersonID",
            "StoreID",
            "is_child",
            ref=reference("customer", "CustomerID"),
            file=pl.lit(tables.CUSTOMER.file),
            name=pl.when("is_child")
            .then(pl.format("{} – {}", "store", "person"))
            .otherwise(pl.coalesce("store", "person")),
            account_type=pl.lit("Customer"),
            industry=pl.when(pl.col("StoreID").is_not_null()).then(pl.lit("Bicycle retail")),
            currency=pl.col("currency").fill_null("USD"),
            parent_ref=pl.when("is_child").then(reference("customer", "store_ref")),
        )
    )
    return frame.with_columns(annual_revenue=pl.when(~pl.col("is_child")).then("annual_revenue"))


def accounts(customers: pl.DataFrame) -> pl.DataFrame:
    return shaped(customers, ACCOUNT)


def contacts(files: Files, customers: pl.DataFrame) -> pl.DataFrame:
    """Every customer person as a contact.

    An individual is the primary contact of the own account. A person of a store belongs to the store with the role that
    BusinessEntityContact gives, and to the buyer's account below it as its primary contact; of a store's persons the
    first is its primary one.
    """
    memberships = _memberships(files, customers)
    emails = first_email(files)
    phones = files.read(tables.PHONE).group_by("BusinessEntityID", maintain_order=True).first()
    scope = customers.select("owner_ref", "team_ref", "territory_ref", account_ref="ref")
    frame = (
        _persons(files)
        .filter(pl.col("PersonType").is_in(_CUSTOMER_PERSONS))
        .join(emails, on="BusinessEntityID", how="left")
        .join(phones.select("BusinessEntityID", "PhoneNumber"), on="BusinessEntityID", how="left")
        .join(memberships, on="BusinessEntityID", how="left")
        .join(scope, on="account_ref", how="left")
        .sort("BusinessEntityID")
    )
    return shaped(
        frame.select(
            "row",
            "job_title",
            "account_ref",
            "memberships",
            "owner_ref",
            "team_ref",
            "territory_ref",
            ref=reference("person", "BusinessEntityID"),
            file=pl.lit(tables.PERSON.file),
            title="Title",
            first_name="FirstName",
            last_name="LastName",
            email="EmailAddress",
            phone="PhoneNumber",
        ),
        CONTACT,
    )


def _memberships(files: Files, customers: pl.DataFrame) -> pl.DataFrame:
    """``BusinessEntityID`` of a person → ``account_ref`` (the home account), ``job_title``, ``memberships``."""
    types = files.read(tables.CONTACT_TYPE).select("ContactTypeID", role="Name")
    stores = customers.filter(pl.col("StoreID").is_not_null() & ~pl.col("is_child")).select(
        "StoreID", account_ref="ref"
    )
    at_store = (
        files.read(tables.CONTACT_ROLE)
        .join(types, on="ContactTypeID")
        .join(stores, left_on="BusinessEntityID", right_on="StoreID")
        .sort("row")
        .select(
            "account_ref",
            "role",
            BusinessEntityID="PersonID",
            job_title="role",
            primary=pl.col("PersonID").is_first_distinct().over("account_ref")
            & (pl.int_range(pl.len()).over("account_ref") == 0),
            rank=pl.lit(0),
        )
    )
    own = customers.filter(pl.col("PersonID").is_not_null()).select(
        account_ref="ref",
        role=pl.when("is_child").then(pl.lit("Buyer")).otherwise(pl.lit("Customer")),
        BusinessEntityID="PersonID",
        job_title=pl.lit(None, pl.String),
        primary=pl.lit(True),
        rank=pl.lit(1),
    )
    return (
        pl.concat([at_store, own])
        .sort("BusinessEntityID", "rank", maintain_order=True)
        .group_by("BusinessEntityID", maintain_order=True)
        .agg(
            pl.col("account_ref").first(),
            pl.col("job_title").drop_nulls().first(),
            memberships=pl.struct("account_ref", "role", "primary"),
        )
    )


def _persons(files: Files) -> pl.DataFrame:
    return files.read(tables.PERSON)


def _full_name() -> pl.Expr:
    return pl.concat_str("FirstName", "MiddleName", "LastName", "Suffix", separator=" ", ignore_nulls=True)


def _addresses_in_use(files: Files, addresses: pl.DataFrame) -> pl.DataFrame:
    """``BusinessEntityID`` → ``billing_address`` (home, main office), ``shipping_address`` (its own, else the same)."""
    types = files.read(tables.ADDRESS_TYPE).select("AddressTypeID", use="Name")
    raw = files.raw(tables.ADDRESS_USE)
    raw = unknown(raw, "AddressID", addresses["AddressID"], "address")
    raw = unknown(raw, "AddressTypeID", types["AddressTypeID"], "type of address")
    frame = (
        files.usable(raw, tables.ADDRESS_USE)
        .join(types, on="AddressTypeID")
        .join(addresses, on="AddressID")
        .sort("row")
    )

    def first(*uses: str) -> pl.Expr:
        return pl.col("address").filter(pl.col("use").is_in(uses)).first()

    return (
        frame.group_by("BusinessEntityID")
        .agg(billing_address=first("Main Office", "Home", "Billing"), shipping=first("Shipping"))
        .select(
            "BusinessEntityID",
            "billing_address",
            shipping_address=pl.coalesce("shipping", "billing_address"),
        )
    )

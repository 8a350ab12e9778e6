"""Contacts that are written together with their account: its creation then says who its primary contact is.

Written after it, each would cost an update of the account and an ACCOUNT_UPDATED to every service: 19 % of all changes
of AdventureWorks were that.
"""

from __future__ import annotations

import polars as pl

from transactional.importers.company import SCOPE, Company

PERSON = "person"
_FIELDS = ("first_name", "last_name", "title", "email", "phone", "job_title")


def settled(company: Company) -> pl.DataFrame:
    """The contacts who are the primary contact of their home, have its owner and no part elsewhere: one an account."""
    part = pl.col("memberships").list.first().struct
    homes = company.accounts.select(*SCOPE, account_ref="ref")
    return (
        company.contacts.filter(
            pl.col("memberships").list.len() == 1,
            part.field("primary"),
            part.field("account_ref") == pl.col("account_ref"),
        )
        .join(homes, on=["account_ref", *SCOPE], how="semi", nulls_equal=True)
        .unique("account_ref", keep="first", maintain_order=True)
    )


def with_people(company: Company, settled: pl.DataFrame) -> pl.DataFrame:
    """The accounts with a column ``person`` as the command takes it, null where nobody comes with the account."""
    role = pl.col("memberships").list.first().struct.field("role")
    key = pl.struct(pl.lit(company.source).alias("source"), pl.col("ref").alias("key"))
    people = settled.select("account_ref", pl.struct(*_FIELDS, role.alias("role"), key.alias("key")).alias(PERSON))
    return company.accounts.join(people, left_on="ref", right_on="account_ref", how="left", maintain_order="left")

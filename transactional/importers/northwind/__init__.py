"""Northwind Traders: the classic sample company of food and drink, from one CSV file per table."""

from __future__ import annotations

from pathlib import Path

from transactional.importers import sheets
from transactional.importers.company import Company
from transactional.importers.northwind import catalogue, companies, orders, people, tables
from transactional.importers.northwind.files import Files

SOURCE = "northwind"


def read(directory: Path) -> Company:
    """The company as its files describe it. Raises MissingInput, before any row is read, naming what is absent."""
    sheets.check(directory, tables.SHEETS)
    files = Files(directory)
    territories = people.territories(files)
    teams, users = people.teams_and_users(files, territories)
    categories = catalogue.categories(files)
    products = catalogue.products(files, categories, orders.sold(files))
    known = companies.companies(files)
    accounts = companies.accounts(known)
    sold = orders.orders(
        files,
        companies=accounts.select("ref", "billing_address", company_name="name"),
        users=users,
        products=products,
    )
    contacts = companies.contacts(known)
    rejections = sorted(set(files.rejections), key=lambda r: (r.file, r.row))
    return Company(
        SOURCE, territories, teams, users, categories, products, accounts, contacts, orders=sold, rejections=rejections
    )

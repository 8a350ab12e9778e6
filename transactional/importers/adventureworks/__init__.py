"""AdventureWorks, the sales side: Microsoft's sample company of bicycles, from one parquet file per table."""

from __future__ import annotations

from pathlib import Path

from transactional.importers import sheets
from transactional.importers.adventureworks import accounts, catalogue, orders, sellers, tables
from transactional.importers.adventureworks.files import Files
from transactional.importers.company import Company

SOURCE = "adventureworks"


def read(directory: Path) -> Company:
    """The company as its files describe it. Raises MissingInput, before any row is read, naming what is absent."""
    sheets.check(directory, tables.SHEETS)
    files = Files(directory)
    addresses = files.addresses()
    headers = orders.headers(files, orders.currency_of_rate(files))
    territories = sellers.territories(files)
    teams, users = sellers.teams_and_users(files, territories)
    categories = catalogue.categories(files)
    products = catalogue.products(files, categories)
    customers = accounts.customers(
        files,
        addresses=addresses,
        territories=territories,
        users=users,
        currencies=orders.last_currencies(headers),
    )
    contacts = accounts.contacts(files, customers)
    return Company(
        source=SOURCE,
        territories=territories,
        teams=teams,
        users=users,
        categories=categories,
        products=products,
        accounts=accounts.accounts(customers),
        contacts=contacts,
        orders=orders.orders(
            files,
            headers,
            addresses=addresses,
            territories=territories,
            customers=customers,
            users=users,
            products=products,
        ),
        rejections=sorted(set(files.rejections), key=lambda r: (r.file, r.row)),
    )

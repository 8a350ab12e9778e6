"""Writes a company through the bulk commands of the services, in an order in which every row finds what it names."""

from __future__ import annotations

import time
from uuid import UUID

import polars as pl

from transactional.importers import payloads, settling
from transactional.importers.company import Company
from transactional.importers.report import Progress, Report
from transactional.importers.sending import ReplicasStuck
from transactional.importers.writing import Writer
from transactional.kernel.calls import fetch
from transactional.kernel.context import Context
from transactional.kernel.problems import Problem

LAG_TIMEOUT = 60.0
"""Seconds without any progress after which Orders' copies of accounts and products count as stuck."""

_STRIDE = 1_000
"""Accounts between two that are waited for."""

# Rows of one bulk command. CPU is the same for 500 to 5,000 orders or accounts at a time (20,000 orders: 6 s here, 3 s
# in PostgreSQL), and readers follow the sooner the smaller the transactions are.
_FEW, _ACCOUNTS, _ORDERS = 500, 2_000, 1_000


def load(company: Company, ctx: Context, progress: Progress | None = None) -> Report:
    """Writes every row that is not there yet and reports on each kind; running it again completes or changes nothing.

    ``ctx`` says who imports. Raises a Problem if a service is down, and ReplicasStuck if Orders does not get to know
    the accounts and products; what was written until then stays, and the next run goes on from there.
    """
    began = time.monotonic()
    report = Report(company.source, rejections=list(company.rejections))
    tell = progress or _silent
    writer = Writer(company.source, ctx, report, tell)
    writer.write("territories", "identity.create_territories", company.territories, payloads.territory, chunk=_FEW)
    writer.write("teams", "identity.create_teams", company.teams, payloads.team, chunk=_FEW)
    writer.write("users", "identity.create_users", company.users, payloads.user(writer.ids), chunk=_FEW)
    writer.write("categories", "inventory.create_product_categories", company.categories, payloads.category, chunk=_FEW)
    writer.write("products", "inventory.create_products", company.products, payloads.product, chunk=_FEW)
    settled = settling.settled(company)
    accounts = settling.with_people(company, settled)
    created = writer.write(
        "accounts", "contacts.create_accounts", accounts, payloads.account, chunk=_ACCOUNTS, spare=settling.PERSON
    )
    with_account = settled.filter(pl.col("account_ref").is_in(list(created)))
    writer.write(
        "contacts",
        "contacts.create_contacts",
        company.contacts.join(with_account, on="ref", how="anti"),
        payloads.contact(writer.ids),
        chunk=_ACCOUNTS,
    )
    report.counts["contacts"].created += with_account.height
    _await_replicas(company, writer, tell)
    writer.write(
        "orders",
        "orders.import_sales_orders",
        company.orders,
        payloads.order(writer.ids),
        chunk=_ORDERS,
        patience=LAG_TIMEOUT,
    )
    report.seconds = time.monotonic() - began
    return report


def _await_replicas(company: Company, writer: Writer, progress: Progress) -> None:
    """Waits until Orders knows the accounts and products, by looking for some of them in the order of their creation.

    A row that lags behind its neighbours is caught when its order is refused and tried again.
    """
    wanted = [("orders.product_replica", ref) for ref in company.products["ref"][-1:]]
    accounts = company.accounts["ref"]
    wanted += [("orders.account_profile", ref) for ref in (*accounts.gather_every(_STRIDE), *accounts[-1:])]
    places = [(resource, writer.ids.known[ref]) for resource, ref in wanted if ref in writer.ids.known]
    for done, (resource, key) in enumerate(places):
        progress("copies", done, len(places))
        _await(resource, UUID(key), writer.ctx)
    progress("copies", len(places), len(places))


def _await(resource: str, key: UUID, ctx: Context) -> None:
    deadline = time.monotonic() + LAG_TIMEOUT
    while True:
        try:
            fetch(resource, key, ctx)
            return
        except Problem as problem:
            if problem.status != 404:
                raise
        if time.monotonic() > deadline:
            raise ReplicasStuck(
                f"Orders has not received {resource} {key} in {LAG_TIMEOUT:.0f} s. See with `headwater status` whether "
                "dispatch and jobs run, then import again: what was written stays."
            )
        time.sleep(0.2)


def _silent(kind: str, done: int, total: int) -> None:
    """Nobody watches."""

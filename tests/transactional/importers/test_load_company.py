"""A company written through the services: completely, once, and row by row where a row is bad."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import polars as pl
import psycopg
import pytest

from policy.principal import Principal
from tests.world import World
from transactional.identity.models import UserAccount
from transactional.importers import demo, loading
from transactional.importers.company import Company
from transactional.importers.report import Report
from transactional.importers.sending import ReplicasStuck
from transactional.kernel.context import Context

IMPORTER = Principal(user_id=None, name="import", roles=frozenset({"service"}))
Load = Callable[[Company], Report]


@pytest.fixture(scope="module")
def company() -> Company:
    return demo.build(size=demo.Size(accounts=120, orders=300))


@pytest.fixture(scope="module")
def load(world: World) -> Load:
    """Loads while the stream, when the importer begins to wait for Orders, hands over what was created until then."""

    def run(company: Company) -> Report:
        def progress(kind: str, done: int, _: int) -> None:
            if kind == "copies" and done == 0:
                world.deliver("orders")

        return loading.load(company, Context(actor=IMPORTER, reason="import of a test"), progress)

    return run


@pytest.fixture(scope="module")
def loaded(company: Company, load: Load) -> Report:
    return load(company)


def one(world: World, query: str, *parameters: object) -> tuple[object, ...]:
    with psycopg.connect(world.cluster.dsn(world.database), autocommit=True) as connection:
        row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row


def without(company: Company, **frames: pl.DataFrame) -> Company:
    changed = copy(company)
    for name, frame in frames.items():
        setattr(changed, name, frame)
    return changed


def test_every_row_is_created(world: World, company: Company, loaded: Report) -> None:
    assert loaded.rejections == []
    counted = {kind: count.created for kind, count in loaded.counts.items()}
    assert counted == {name: getattr(company, name).height for name in counted}
    assert one(world, "select count(*) from orders.sales_order") == (300,)
    assert one(world, "select count(*) from orders.sales_order_line") == (company.orders["lines"].list.len().sum(),)
    assert one(world, "select sum(sub_total), sum(tax_amount), sum(freight) from orders.sales_order") == tuple(
        company.orders.select(pl.col("sub_total", "tax_amount", "freight").sum()).row(0)
    )
    assert one(world, "select sum(amount) from inventory.product_price") == tuple(
        company.products.select(pl.col("prices").explode().struct.field("amount").sum()).row(0)
    )


def test_rows_point_at_each_other_as_they_did(world: World, company: Company, loaded: Report) -> None:
    child = company.accounts.filter(pl.col("parent_ref").is_not_null()).row(0, named=True)
    parent = company.accounts.row(by_predicate=pl.col("ref") == child["parent_ref"], named=True)
    found = one(
        world,
        "select parent.name, owner.username, territory.name from contacts.account as child"
        " join contacts.account as parent on parent.account_uuid = child.parent_id"
        " join identity.user_account as owner on owner.id = child.owner_id"
        " join identity.territory on territory.id = child.territory_id where child.name = %s",
        child["name"],
    )
    territory = company.territories.row(by_predicate=pl.col("ref") == child["territory_ref"], named=True)
    assert found == (parent["name"], child["owner_ref"].removeprefix("user:"), territory["name"])
    assert one(
        world,
        "select count(*) from contacts.account join contacts.contact on contact.id = account.primary_contact_id"
        " join contacts.account_contact as link on (link.account_uuid, link.contact_id)"
        " = (account.account_uuid, contact.id)",
    ) == (120,)


def test_every_change_is_announced_by_a_command_of_the_importer(world: World, loaded: Report) -> None:
    created = [row for row in world.outbox("contacts") if row["type"] == "ACCOUNT_CREATED"]
    assert len(created) == 120
    assert world.outbox("orders") == []


def test_an_account_is_announced_once_with_its_primary_contact(world: World, company: Company, loaded: Report) -> None:
    """Only who has a part in other accounts too comes after them, and then an account is changed."""
    wide = company.contacts.filter(pl.col("memberships").list.len() > 1)["memberships"].explode()
    primary = wide.struct.field("primary").sum()
    assert len(world.outbox("contacts", "ACCOUNT_UPDATED")) == primary < 10
    assert one(world, "select count(*) from contacts.account where version > 1") == (primary,)
    homes = "select count(*) from contacts.contact join contacts.external_reference on resource_id = contact.id"
    assert one(world, homes) == one(world, "select count(*) from contacts.contact")


def test_a_person_who_is_refused_does_not_take_the_account_along(world: World, load: Load, loaded: Report) -> None:
    company = demo.build(seed=13, size=demo.Size(accounts=10, orders=1))
    company.source = "bad person"
    nobody = pl.lit(None, pl.String)
    first = company.contacts["ref"][0]
    company = without(
        company,
        **{name: getattr(company, name).head(0) for name in ("territories", "teams", "users", "categories")},
        products=company.products.head(0),
        orders=company.orders.head(0),
        accounts=company.accounts.with_columns(owner_ref=nobody, team_ref=nobody, territory_ref=nobody),
        contacts=company.contacts.with_columns(
            owner_ref=nobody,
            team_ref=nobody,
            territory_ref=nobody,
            email=pl.when(pl.col("ref") == first).then(pl.lit("no address")).otherwise("email"),
        ),
    )
    report = load(company)
    assert (report.counts["accounts"].created, report.counts["accounts"].rejected) == (10, 0)
    assert (report.counts["contacts"].created, report.counts["contacts"].rejected) == (company.contacts.height - 1, 1)
    assert report.rejections[0].reason.startswith("email: ")
    again = load(company)
    assert (again.created, again.counts["contacts"].unchanged) == (0, company.contacts.height - 1)


def test_loading_again_changes_nothing(world: World, company: Company, load: Load, loaded: Report) -> None:
    state = "select (select count(*) from contacts.outbox), (select sum(version) from contacts.account), "
    state += "(select count(*) from orders.sales_order_line), (select count(*) from orders.external_reference)"
    before = one(world, state)
    report = load(company)
    assert report.created == 0
    assert report.unchanged == loaded.created
    assert one(world, state) == before


def test_a_load_that_was_cut_short_is_completed(world: World, load: Load, loaded: Report) -> None:
    other = demo.build(seed=5, size=demo.Size(accounts=150, orders=340))
    other.source = "cut short"
    other = without(
        other,
        territories=other.territories.with_columns(name=pl.format("{} 2", "name")),
        teams=other.teams.with_columns(name=pl.format("{} 2", "name")),
        users=other.users.with_columns(username=pl.format("{}2", "username")),
        categories=other.categories.with_columns(name=pl.format("{} 2", "name")),
        products=other.products.with_columns(sku=pl.format("{}-2", "sku")),
        orders=other.orders.with_columns(order_number=pl.format("{}-2", "order_number")),
    )
    first = load(
        without(other, accounts=other.accounts.head(100), contacts=other.contacts.head(0), orders=other.orders.head(0))
    )
    assert first.rejections == []
    rest = load(other)
    assert rest.rejections == []
    assert (rest.counts["accounts"].created, rest.counts["accounts"].unchanged) == (50, 100)
    assert rest.counts["orders"].created == 340


def test_a_bad_row_is_named_and_stops_only_what_needs_it(world: World, load: Load, loaded: Report) -> None:
    company = demo.build(seed=9, size=demo.Size(accounts=80, orders=200))
    company.source = "bad rows"
    bad_account = company.orders["account_ref"][0]
    orders_of_it = company.orders.filter(pl.col("account_ref") == bad_account).height
    wrong_total = company.orders.filter(pl.col("account_ref") != bad_account)["ref"][0]
    company = without(
        company,
        territories=company.territories.with_columns(name=pl.format("{} 9", "name")),
        teams=company.teams.with_columns(name=pl.format("{} 9", "name")),
        users=company.users.with_columns(username=pl.format("{}9", "username")),
        categories=company.categories.with_columns(name=pl.format("{} 9", "name")),
        products=company.products.with_columns(sku=pl.format("{}-9", "sku")),
        accounts=company.accounts.with_columns(
            name=pl.when(pl.col("ref") == bad_account).then(pl.lit("")).otherwise("name"),
            parent_ref=pl.lit(None, pl.String),
        ),
        orders=company.orders.with_columns(
            order_number=pl.format("{}-9", "order_number"),
            sub_total=pl.when(pl.col("ref") == wrong_total).then(pl.col("sub_total") + 1).otherwise("sub_total"),
        ),
    )
    report = load(company)
    assert report.counts["accounts"].created == 79
    assert report.counts["orders"].created == 200 - orders_of_it - 1
    reasons = {(r.file, r.row): r.reason for r in report.rejections}
    row = company.accounts.row(by_predicate=pl.col("ref") == bad_account, named=True)["row"]
    assert reasons["demo", row].startswith(("name: ", f"it needs {bad_account}"))
    assert any(reason.startswith("sub_total: The lines come to") for reason in reasons.values())
    assert (
        sum(reason == f"it needs {bad_account}, which was not imported" for reason in reasons.values()) >= orders_of_it
    )


def test_an_order_of_something_that_was_not_imported_names_it(load: Load, company: Company, loaded: Report) -> None:
    gone = company.orders["lines"][0][0]["product_ref"]
    again = without(
        company,
        products=company.products.filter(pl.col("ref") != gone),
        orders=company.orders.with_columns(
            ref=pl.format("{} again", "ref"), order_number=pl.format("{}-A", "order_number")
        ),
    )
    report = load(again)
    needing = company.orders.filter(
        pl.col("lines").list.eval(pl.element().struct.field("product_ref") == gone).list.any()
    )
    assert [r.reason for r in report.rejections] == [f"it needs {gone}, which was not imported"] * needing.height
    assert report.counts["orders"].created == company.orders.height - needing.height


def test_an_import_says_so_when_nobody_carries_the_copies(
    world: World, loaded: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "LAG_TIMEOUT", 0.3)
    company = demo.build(seed=11, size=demo.Size(accounts=20, orders=20))
    company.source = "no stream"
    company = without(
        company,
        products=company.products.head(0),
        categories=company.categories.head(0),
        territories=company.territories.with_columns(name=pl.format("{} 11", "name")),
        teams=company.teams.with_columns(name=pl.format("{} 11", "name")),
        users=company.users.with_columns(username=pl.format("{}11", "username")),
    )
    with pytest.raises(ReplicasStuck, match="whether dispatch and jobs run"):
        loading.load(company, Context(actor=IMPORTER))


def test_what_has_no_owner_stays_without_one_whoever_imports(world: World, load: Load, loaded: Report) -> None:
    company = demo.build(seed=12, size=demo.Size(accounts=10, orders=1))
    company.source = "unowned"
    nobody = pl.lit(None, pl.String)
    company = without(
        company,
        territories=company.territories.head(0),
        teams=company.teams.head(0),
        users=company.users.head(0),
        categories=company.categories.head(0),
        products=company.products.head(0),
        contacts=company.contacts.head(0),
        orders=company.orders.head(0),
        accounts=company.accounts.with_columns(
            owner_ref=nobody, team_ref=nobody, territory_ref=nobody, name=pl.format("Unowned {}", "ref")
        ),
    )
    alice = UserAccount.objects.get(username="alice")
    admin = Principal(user_id=alice.id, name="alice", roles=frozenset({"admin"}))
    loading.load(company, Context(actor=admin), lambda kind, *_: world.deliver("orders") and None)
    unowned = (
        "select count(*), count(owner_id), count(territory_id) from contacts.account where starts_with(name, 'Unowned')"
    )
    assert one(world, unowned) == (10, 0, 0)

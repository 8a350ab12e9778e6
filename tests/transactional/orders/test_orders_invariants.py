"""What the database refuses to the service's own role: wrong totals, impossible lines, changed history."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest


@pytest.fixture
def orders(world):
    """The service's role, in a transaction that is never committed."""
    with world.as_role("hw_orders") as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


@pytest.fixture
def draft(shop):
    """One bike at 1,000."""
    return shop.draft()["id"]


@pytest.fixture
def confirmed(shop):
    order = shop.draft()
    shop.act(order, "confirm")
    return order["id"]


ADD = """
insert into sales_order_line (id, order_id, line_no, product_id, sku, product_name, quantity, unit_price, discount,
  version, created_at, updated_at, custom)
select gen_random_uuid(), order_id, line_no + 1, product_id, sku, product_name, 1, 1, 0, 1, now(), now(), '{}'
from sales_order_line where order_id = %s
"""


@pytest.mark.parametrize(
    "change",
    [
        "quantity = 0",
        "quantity = -1",
        "quantity = 'NaN'",
        "unit_price = -0.0001",
        "unit_price = 'NaN'",
        "discount = 1.000001",
        "discount = -0.1",
        "line_no = 0",
    ],
)
def test_a_line_that_cannot_be(orders, draft, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        orders.execute(f"update sales_order_line set {change} where order_id = %s".encode(), [draft])


@pytest.mark.parametrize(
    "change",
    [
        "status = 'lost'",
        "channel = 'fax'",
        "sub_total = -1",
        "tax_amount = -1",
        "freight = 'NaN'",
        "due_date = order_date - 1",
        "ship_date = order_date - 1",
        "status = 'shipped'",
    ],
)
def test_a_header_that_cannot_be(orders, draft, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        orders.execute(f"update sales_order set {change} where id = %s".encode(), [draft])


def test_a_header_that_is_not_the_sum_of_its_lines(orders, draft):
    orders.execute("update sales_order set sub_total = 1000.0001 where id = %s", [draft])
    with pytest.raises(psycopg.errors.CheckViolation, match=r"subtotal of 1000\.0001, but its lines come to 1000"):
        orders.execute("set constraints all immediate")


@pytest.mark.parametrize(
    "statement",
    [
        ADD,
        "update sales_order_line set quantity = 2 where order_id = %s",
        "update sales_order_line set discount = 0.5 where order_id = %s",
        "delete from sales_order_line where order_id = %s",
    ],
)
def test_lines_that_leave_their_header_behind(orders, draft, statement):
    with pytest.raises(psycopg.errors.CheckViolation, match="lines come to"):
        orders.execute(statement.encode(), [draft])


def test_header_and_lines_change_together(orders, draft):
    orders.execute("update sales_order set sub_total = 1001 where id = %s", [draft])
    orders.execute(ADD.encode(), [draft])
    orders.execute("set constraints all immediate")


@pytest.mark.parametrize(
    "statement",
    [
        ADD.replace("1, 1, 0, 1", "1, 0, 0, 1"),
        "update sales_order_line set quantity = 2 where order_id = %s",
        "update sales_order_line set order_id = gen_random_uuid() where order_id = %s",
        "delete from sales_order_line where order_id = %s",
    ],
)
def test_lines_of_a_confirmed_order_stand(orders, confirmed, statement):
    with pytest.raises(psycopg.errors.CheckViolation, match="confirmed: its lines cannot change"):
        orders.execute(statement.encode(), [confirmed])


def test_a_tracking_number_is_no_change_of_a_line(orders, confirmed):
    orders.execute("update sales_order_line set carrier_tracking_number = 'T' where order_id = %s", [confirmed])


@pytest.mark.parametrize(
    "change",
    [
        "status = 'draft'",
        "sub_total = 5",
        "tax_amount = 5",
        "freight = 5",
        "currency = 'EUR'",
        "order_date = order_date - 1",
    ],
)
def test_amounts_of_a_confirmed_order_stand(orders, confirmed, change):
    with pytest.raises(psycopg.errors.CheckViolation, match="confirmed"):
        orders.execute(f"update sales_order set {change} where id = %s".encode(), [confirmed])


def test_two_orders_never_share_a_number_nor_two_lines(orders, shop):
    one, two = shop.draft(), shop.draft()
    with pytest.raises(psycopg.errors.UniqueViolation):
        orders.execute("update sales_order set order_number = %s where id = %s", [two["order_number"], UUID(one["id"])])
    orders.rollback()
    with pytest.raises(psycopg.errors.UniqueViolation):
        orders.execute(ADD.replace("line_no + 1", "line_no").encode(), [one["id"]])


@pytest.mark.parametrize(
    "statement",
    [
        "select * from contacts.account",
        "update finance.account_profile set credit_limit = 0",
        "update outbox set type = 'X'",
        "truncate sales_order cascade",
        "alter table sales_order_line disable trigger all",
        "create or replace function sales_order_check_totals(orders uuid[]) returns void language sql as ''",
    ],
)
def test_what_is_not_the_roles_business(orders, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        orders.execute(statement.encode())


def test_an_order_for_nobody_is_refused(orders, draft):
    orders.execute("update sales_order set account_uuid = %s where id = %s", [uuid4(), draft])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        orders.execute("set constraints all immediate")

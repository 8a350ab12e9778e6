"""A company's history of any length, put into the mirror by SQL: for plans and benchmarks at 1, 10 and 100 times."""

from __future__ import annotations

from uuid import UUID

from pipelines.refresh.program import Program
from tests.mirror import Connection

ORDERS_A_DAY = 20
LINES = 4
_KINDS = ("account", "contact", "link", "category", "product", "order", "line")


def identifier(kind: str, number: int) -> UUID:
    """The id of the n-th row of its kind (from 1; lines: four times the order's number and their own, from 0)."""
    return UUID(f"{number:012x}70008{_KINDS.index(kind):015x}")


def _id(kind: str, number: str) -> str:
    """``identifier`` in SQL. Ids grow with time, as UUIDv7 do: random ones would make every insert a cache miss."""
    return f"(lpad(to_hex({number}), 12, '0') || '70008{_KINDS.index(kind):015x}')::uuid"


def fill(connection: Connection, *, accounts: int, orders: int) -> None:
    """Deterministic accounts (a tenth of them with a parent), contacts, profiles, products, orders and their lines.

    Twenty orders a day, round and round over thirty years: up to 220,000 orders, more of them mean more days.
    """
    stream, stamp = "_lsn, _seq, _deleted, _committed_at", "'0/1', 0, false, '2024-01-01'"
    account, product, order = _id("account", "n"), _id("product", "n"), _id("order", "n")
    for statement in (
        f"""insert into raw_contacts.account (account_uuid, account_number, name, parent_id, {stream})
            select {account}, 'HA-' || n, 'Account ' || n,
            case when n % 10 = 0 then {_id("account", "n / 10")} end, {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_contacts.contact (id, account_uuid, last_name, {stream})
            select {_id("contact", "n")}, {account}, 'Person ' || n, {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_contacts.account_contact (id, account_uuid, contact_id, role, {stream})
            select {_id("link", "n")}, {account}, {_id("contact", f"n * 7919 % {accounts} + 1")}, 'Buyer', {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_finance.account_profile (account_uuid, name, {stream})
            select {account}, 'Account ' || n, {stamp} from generate_series(1, {accounts}) as n""",
        f"""insert into raw_inventory.product_category (id, name, parent_id, {stream})
            select {_id("category", "n")}, 'Category ' || n,
            case when n > 3 then {_id("category", "n % 3 + 1")} end, {stamp} from generate_series(1, 30) as n""",
        f"""insert into raw_inventory.product (id, sku, name, category_id, list_price, {stream})
            select {product}, 'HP-' || n, 'Product ' || n, {_id("category", "n % 30 + 1")}, 10, {stamp}
            from generate_series(1, {max(2 * accounts, 100)}) as n""",
        f"""insert into raw_orders.sales_order (id, order_number, account_uuid, status, channel, order_date, sub_total,
            tax_amount, freight, {stream})
            select {order}, 'HO-' || n, {_id("account", f"n % {accounts} + 1")}, 'shipped', 'online',
            date '2005-01-01' + (n / {ORDERS_A_DAY}) % 11000, 40, 4, 1, {stamp}
            from generate_series(1, {orders}) as n""",
        f"""insert into raw_orders.sales_order_line
            (id, order_id, line_no, product_id, sku, quantity, unit_price, {stream})
            select {_id("line", f"n * {LINES} + l")}, {order}, l + 1, {_id("product", "n % 100 + 1")}, 'HP', 1, 10,
            {stamp}
            from generate_series(1, {orders}) as n, generate_series(0, {LINES - 1}) as l""",
    ):
        connection.execute(statement.encode())


def build_in_place(connection: Connection, program: Program) -> None:
    """Every hot mart from the mirror as it stands, without dbt; then statistics on everything."""
    connection.execute(program.prepare.encode())
    connection.execute("analyze")
    for model in program.models:
        connection.execute(model.delete_all.encode())
        connection.execute(model.insert_all.encode())
    connection.execute("vacuum analyze")

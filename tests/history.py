"""A company's history of any length, put into the mirror by SQL: for plans and benchmarks at 1, 10 and 100 times."""

from __future__ import annotations

from pipelines.refresh.program import Program
from tests.mirror import Connection

ORDERS_A_DAY = 20


def fill(connection: Connection, *, accounts: int, orders: int) -> None:
    """Deterministic accounts (a tenth of them with a parent), contacts, profiles, orders and four lines an order.

    Ids are ``uuid`` of an md5 over kind and number, so that a caller can name a row: ``account_id(7)``. More orders
    means more days of history, not busier days.
    """
    stamp = "'0/1', 0, false, '2024-01-01'"
    for statement in (
        f"""insert into raw_contacts.account
            (account_uuid, account_number, name, parent_id, _lsn, _seq, _deleted, _committed_at)
            select md5('account' || n)::uuid, 'HA-' || n, 'Account ' || n,
            case when n % 10 = 0 then md5('account' || n / 10)::uuid end, {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_contacts.contact (id, account_uuid, last_name, _lsn, _seq, _deleted, _committed_at)
            select md5('contact' || n)::uuid, md5('account' || n)::uuid, 'Person ' || n, {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_contacts.account_contact
            (id, account_uuid, contact_id, role, _lsn, _seq, _deleted, _committed_at)
            select md5('link' || n)::uuid, md5('account' || n)::uuid, md5('contact' || n % 10 + 1)::uuid, 'Buyer',
            {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_finance.account_profile (account_uuid, name, _lsn, _seq, _deleted, _committed_at)
            select md5('account' || n)::uuid, 'Account ' || n, {stamp} from generate_series(1, {accounts}) as n""",
        f"""insert into raw_inventory.product_category (id, name, parent_id, _lsn, _seq, _deleted, _committed_at)
            select md5('category' || n)::uuid, 'Category ' || n,
            case when n > 3 then md5('category' || n % 3 + 1)::uuid end, {stamp} from generate_series(1, 30) as n""",
        f"""insert into raw_inventory.product
            (id, sku, name, category_id, list_price, _lsn, _seq, _deleted, _committed_at)
            select md5('product' || n)::uuid, 'HP-' || n, 'Product ' || n, md5('category' || n % 30 + 1)::uuid, 10,
            {stamp}
            from generate_series(1, {max(2 * accounts, 100)}) as n""",
        f"""insert into raw_orders.sales_order (id, order_number, account_uuid, status, channel, order_date, sub_total,
            tax_amount, freight, territory_id, _lsn, _seq, _deleted, _committed_at)
            select md5('order' || n)::uuid, 'HO-' || n, md5('account' || n % {accounts} + 1)::uuid, 'shipped', 'online',
            date '2005-01-01' + (n / {ORDERS_A_DAY}) % 11000, 40, 4, 1, null, {stamp}
            from generate_series(1, {orders}) as n""",
        f"""insert into raw_orders.sales_order_line (id, order_id, line_no, product_id, sku, quantity, unit_price,
            _lsn, _seq, _deleted, _committed_at)
            select md5('line' || n || '/' || l)::uuid, md5('order' || n)::uuid, l, md5('product' || n % 100 + 1)::uuid,
            'HP', 1, 10, {stamp} from generate_series(1, {orders}) as n, generate_series(1, 4) as l""",
    ):
        connection.execute(statement.encode())


def build_in_place(connection: Connection, program: Program) -> None:
    """Every hot mart from the mirror as it stands, without dbt; then statistics on everything."""
    connection.execute(program.prepare.encode())
    for model in program.models:
        connection.execute(model.delete_all.encode())
        connection.execute(model.insert_all.encode())
    connection.execute("vacuum analyze")

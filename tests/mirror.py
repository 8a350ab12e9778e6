"""A mirror and change log filled by hand: what landing leaves behind, without a source database in front of it.

For tests and benchmarks of what stands above the mirror. Columns and types are those that landing makes of the
services' tables; some have defaults here, so that a test names only what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from warehouse.change_log import ensure_partitions
from warehouse.schema import migrate

Connection = psycopg.Connection[tuple[Any, ...]]
Row = Mapping[str, Any]

_STREAM = "_lsn pg_lsn not null, _seq int not null, _deleted boolean not null, _committed_at timestamptz not null"
_KERNEL = (
    "version bigint default 1, created_at timestamptz default '2024-01-01',"
    " updated_at timestamptz default '2024-01-01', custom jsonb default '{}'"
)
_SCOPE = "owner_id uuid, team_id uuid, territory_id uuid"

SERVICES = ("identity", "contacts", "finance", "orders", "inventory")

TABLES: dict[str, tuple[str, str]] = {
    "identity.user_account": (
        "id",
        f"id uuid, username varchar, display_name varchar, email varchar, is_active boolean default true, team_id uuid,"
        f" territory_ids uuid[] default '{{}}', tokens_valid_from bigint default 0, {_KERNEL}",
    ),
    "identity.role_assignment": ("id", f"id uuid, user_id uuid, role varchar, {_KERNEL}"),
    "identity.user_group": ("id", f"id uuid, name varchar, roles varchar[], {_KERNEL}"),
    "identity.group_membership": ("id", f"id uuid, user_id uuid, group_id uuid, {_KERNEL}"),
    "identity.team": ("id", f"id uuid, name varchar, parent_id uuid, {_KERNEL}"),
    "identity.territory": ("id", f"id uuid, name varchar, country_code varchar, group_name varchar, {_KERNEL}"),
    "contacts.account": (
        "account_uuid",
        "account_uuid uuid, account_number varchar, name varchar, primary_contact_kind varchar,"
        " primary_contact_id uuid, account_type varchar default 'Customer', status varchar default 'Active',"
        " status_before_hold varchar,"
        " billing_address jsonb, shipping_address jsonb, industry varchar, annual_revenue numeric,"
        f" currency varchar default 'USD', parent_id uuid, {_SCOPE}, {_KERNEL}",
    ),
    "contacts.contact": (
        "id",
        "id uuid, account_uuid uuid, first_name varchar, last_name varchar, title varchar, email varchar,"
        f" phone varchar, job_title varchar, {_SCOPE}, {_KERNEL}",
    ),
    "contacts.account_contact": ("id", f"id uuid, account_uuid uuid, contact_id uuid, role varchar, {_KERNEL}"),
    "contacts.account_relationship": ("id", f"id uuid, from_account uuid, to_account uuid, kind varchar, {_KERNEL}"),
    "finance.account_profile": (
        "account_uuid",
        "account_uuid uuid, name varchar, account_type varchar, account_status varchar, billing_address jsonb,"
        " replica_version bigint, tax_id varchar, credit_limit numeric default 10000, currency varchar default 'USD',"
        " payment_terms varchar default 'Net 30', balance_due numeric default 0, on_credit_hold boolean"
        f" default false, hold_reason varchar, hold_since timestamptz, {_SCOPE}, {_KERNEL}",
    ),
    "orders.account_profile": (
        "account_uuid",
        "account_uuid uuid, name varchar, account_type varchar, account_status varchar, billing_address jsonb,"
        " shipping_address jsonb, replica_version bigint, default_shipping_method varchar, is_taxable boolean,"
        f" {_SCOPE}, {_KERNEL}",
    ),
    "orders.product_replica": (
        "product_id",
        "product_id uuid, sku varchar, name varchar, is_active boolean, list_price numeric, currency varchar,"
        f" replica_version bigint, {_KERNEL}",
    ),
    "orders.sales_order": (
        "id",
        "id uuid, order_number varchar, account_uuid uuid, status varchar default 'confirmed',"
        " channel varchar default 'online', order_date date, due_date date, ship_date date,"
        " currency varchar default 'USD', sub_total numeric"
        " default 0, tax_amount numeric default 0, freight numeric default 0, billing_address jsonb,"
        " shipping_address jsonb, shipping_method varchar, purchase_order_number varchar, salesperson_id uuid,"
        f" {_SCOPE}, {_KERNEL}",
    ),
    "orders.sales_order_line": (
        "id",
        "id uuid, order_id uuid, line_no int, product_id uuid, sku varchar, product_name varchar, quantity numeric,"
        " unit_price numeric, discount numeric default 0, special_offer varchar, carrier_tracking_number varchar,"
        f" {_KERNEL}",
    ),
    "inventory.product_category": ("id", f"id uuid, name varchar, parent_id uuid, {_KERNEL}"),
    "inventory.product": (
        "id",
        "id uuid, sku varchar, name varchar, category_id uuid, color varchar, size varchar, standard_cost numeric,"
        f" list_price numeric, currency varchar default 'USD', sell_start date, sell_end date, is_active boolean"
        f" default true, {_KERNEL}",
    ),
    **{
        f"{service}.external_reference": (
            "id",
            "id uuid, source text, key text, resource text, resource_id uuid",
        )
        for service in SERVICES
    },
    **{
        f"{service}.access_log": (
            "id",
            "id uuid, at timestamptz, kind text, actor_id uuid, actor_name text, on_behalf_of uuid, action text,"
            " resource text, resource_id text, request_id uuid, detail text",
        )
        for service in SERVICES
    },
    "inventory.product_price": (
        "id",
        f"id uuid, product_id uuid, amount numeric, currency varchar, valid_from date, valid_to date, {_KERNEL}",
    ),
}
"""Source table → (key column, columns)."""


def make_mirror(connection: Connection) -> None:
    """Schema ``log`` and ``ops``, today's partitions, and an empty mirror of every source table."""
    migrate(connection)
    ensure_partitions(connection, datetime.now(UTC).date())
    for service in sorted({table.split(".")[0] for table in TABLES}):
        connection.execute(f"create schema raw_{service}".encode())
    for table, (key, columns) in TABLES.items():
        connection.execute(f"create table raw_{table} ({columns}, {_STREAM}, primary key ({key}))".encode())


class Stream:
    """Commits source transactions to mirror, change log and queue, as landing would: a batch each."""

    def __init__(self, connection: Connection, source: str = "headwater") -> None:
        self._connection = connection
        self._source = source
        connection.execute(
            "insert into log.epoch (source, epoch, system_id, timeline, slot, reason)"
            " values (%s, 1, '1', 1, 'hw_landing', 'initial') on conflict do nothing",
            [source],
        )
        connection.execute(
            "insert into log.position (source, epoch, system_id, timeline, slot, lsn)"
            " values (%s, 1, '1', 1, 'hw_landing', '0/1000000') on conflict do nothing",
            [source],
        )
        self._lsn = self._number("select lsn - '0/0' from log.position where source = %s", [source])
        self._xid = self._number("select coalesce(max(xid), 1000) from log.change_log where source = %s", [source])

    def commit(
        self, *changes: Change, actor: str | None = None, command: str = "test", reason: str | None = None
    ) -> int:
        """One transaction of the source, landed as one batch; returns the batch's id."""
        now = datetime.now(UTC)
        self._xid += 1
        with self._connection.transaction():
            batch_id = self._number(
                "insert into log.batch"
                " (source, epoch, from_lsn, to_lsn, changes, first_committed_at, last_committed_at)"
                " values (%s, 1, %s, %s, %s, %s, %s) returning batch_id",
                [self._source, _lsn(self._lsn), _lsn(self._lsn + len(changes)), len(changes), now, now],
            )
            if actor is not None:
                self._connection.execute(
                    "insert into log.transactions (source, epoch, xid, seq, lsn, committed_at, actor, actor_name,"
                    " command, request_id, reason, content)"
                    " values (%s, 1, %s, 0, %s, %s, gen_random_uuid(), %s, %s, gen_random_uuid(), %s, '{}')",
                    [self._source, self._xid, _lsn(self._lsn), now, actor, command, reason],
                )
            for seq, change in enumerate(changes):
                self._lsn += 1
                self._land(batch_id, seq, change, now)
            self._connection.execute(
                "insert into log.queue (consumer, batch_id) select name, %s from log.consumer", [batch_id]
            )
            self._connection.execute(
                "update log.position set lsn = %s, committed_at = %s, updated_at = now() where source = %s",
                [_lsn(self._lsn), now, self._source],
            )
            self._connection.execute("notify hw_landed")
        return batch_id

    def _land(self, batch_id: int, seq: int, change: Change, now: datetime) -> None:
        op, table, values = change
        schema_name, table_name = table.split(".")
        mirror = sql.Identifier(f"raw_{schema_name}", table_name)
        stream = {"_lsn": _lsn(self._lsn), "_seq": seq, "_deleted": op in "dt", "_committed_at": now}
        identity: dict[str, str] = {}
        before = after = None
        if op == "t":
            self._update(mirror, stream, sql.SQL("true"))
        else:
            key = TABLES[table][0]
            identity = {key: str(values[key])}
            condition = sql.SQL("{} = {}").format(sql.Identifier(key), sql.Literal(str(values[key])))
            before = self._image(mirror, condition)
            if op == "d":
                self._update(mirror, stream, condition)
            else:
                row = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
                self._upsert(mirror, key, row | stream)
                after = self._image(mirror, condition)
        self._connection.execute(
            "insert into log.change_log (landed_on, batch_id, source, epoch, xid, lsn, seq, op,"
            " schema_name, table_name, key, before, after, committed_at)"
            " values (%s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *(now.date(), batch_id, self._source, self._xid, _lsn(self._lsn), seq, op, schema_name, table_name),
                *(Jsonb(identity), before and Jsonb(before), after and Jsonb(after), now),
            ],
        )

    def _update(self, mirror: sql.Identifier, values: Row, condition: sql.Composable) -> None:
        assignments = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        statement = sql.SQL("update {} set {} where {}").format(mirror, assignments, condition)
        self._connection.execute(statement, list(values.values()))

    def _upsert(self, mirror: sql.Identifier, key: str, values: Row) -> None:
        names = [sql.Identifier(name) for name in values]
        statement = sql.SQL("insert into {} ({}) values ({}) on conflict ({}) do update set {}").format(
            mirror,
            sql.SQL(", ").join(names),
            sql.SQL(", ").join([sql.Placeholder()] * len(names)),
            sql.Identifier(key),
            sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in names),
        )
        self._connection.execute(statement, list(values.values()))

    def _image(self, mirror: sql.Identifier, condition: sql.Composable) -> dict[str, str | None] | None:
        found = self._connection.execute(
            sql.SQL(
                "select (select jsonb_object_agg(key, value) from jsonb_each_text(to_jsonb(row)) where key !~ '^_')"
                " from {} as row where {} and not _deleted"
            ).format(mirror, condition)
        ).fetchone()
        return found[0] if found else None

    def _number(self, query: str, parameters: list[Any]) -> int:
        found = self._connection.execute(query.encode(), parameters).fetchone()
        assert found is not None
        return int(found[0])


def _lsn(number: int) -> str:
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


Change = tuple[Literal["c", "u", "d", "t"], str, Row]


def put(table: str, **values: Any) -> Change:
    """The row as it is after an insert or update; columns left out keep their value (or default)."""
    return "u", table, values


def delete(table: str, **key: UUID) -> Change:
    return "d", table, key


def truncate(table: str) -> Change:
    return "t", table, {}

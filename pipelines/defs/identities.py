"""Sums that must agree between what the services wrote and what the read models say: each a query of what breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Identity:
    """``broken`` selects the key of each thing for which the identity does not hold, at most a few."""

    name: str
    relation: tuple[str, str]
    description: str
    broken: str


IDENTITIES: Final = (
    Identity(
        "lines_add_up_to_headers",
        ("raw_orders", "sales_order"),
        "An order's subtotal lies within 0.00005 of the sum of its exact line nets, as its service wrote both.",
        """
select sales_order.order_number
from raw_orders.sales_order
left join (
    select order_id, sum(quantity * unit_price * (1 - discount)) as net
    from raw_orders.sales_order_line
    where not _deleted
    group by order_id
) as lines on lines.order_id = sales_order.id
where not sales_order._deleted
    and sales_order.status <> 'draft'
    and abs(sales_order.sub_total - coalesce(lines.net, 0)) > 0.00005
order by 1
limit 21
""",
    ),
    Identity(
        "orders_are_those_of_the_service",
        ("marts", "fct_sales_order"),
        "As many orders and the same sum of subtotals, in each currency, as the service has.",
        """
with waiting as (select exists (select from log.queue where consumer = 'refresh') as any_batch),
here as (select currency, count(*) as orders, sum(sub_total) as amount from marts.fct_sales_order group by 1),
there as (
    select currency, count(*) as orders, sum(sub_total) as amount
    from raw_orders.sales_order where not _deleted group by 1
)
select coalesce(here.currency, there.currency)
from here
full join there using (currency)
cross join waiting
where not any_batch
    and (here.orders is distinct from there.orders or here.amount is distinct from there.amount)
order by 1
limit 21
""",
    ),
    Identity(
        "totals_are_those_of_the_orders",
        ("reporting", "c360_account"),
        "Every account's number of sales and its total due, in each currency, are those of its orders.",
        """
with sold as (
    select account_uuid, currency, count(*) as orders, sum(total_due) as due
    from marts.fct_sales_order where is_sale group by 1, 2
),
told as (
    select account_uuid, total.key as currency,
        (total.value ->> 'order_count')::bigint as orders, (total.value ->> 'total_due')::numeric as due
    from reporting.c360_account
    cross join lateral jsonb_each(totals_by_currency) as total
)
select account_uuid::text
from sold
full join told using (account_uuid, currency)
where (sold.orders is distinct from told.orders or sold.due is distinct from told.due)
    and exists (select from reporting.c360_account where c360_account.account_uuid = coalesce(
        sold.account_uuid, told.account_uuid))
order by 1
limit 21
""",
    ),
    Identity(
        "days_are_those_of_the_orders",
        ("marts", "agg_sales_daily"),
        "The sum of all days, in each currency, is that of all sales.",
        """
with days as (
    select currency, sum(order_count) as orders, sum(total_due) as due from marts.agg_sales_daily group by 1
),
orders as (
    select currency, count(*) as orders, sum(total_due) as due from marts.fct_sales_order where is_sale group by 1
)
select coalesce(days.currency, orders.currency)
from days
full join orders using (currency)
where days.orders is distinct from orders.orders or days.due is distinct from orders.due
order by 1
limit 21
""",
    ),
)

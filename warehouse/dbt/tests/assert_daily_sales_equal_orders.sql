-- No sold order is lost or counted twice between the order and the day.
with daily as (
    select
        sum(order_count) as order_count,
        sum(total_due) as total_due
    from {{ ref('agg_sales_daily') }}
),

orders as (
    select
        count(*) as order_count,
        sum(total_due) as total_due
    from {{ ref('fct_sales_order') }}
    where is_sale
)

select
    daily.order_count,
    orders.order_count as order_count_of_orders
from daily
cross join orders
where
    coalesce(daily.order_count, 0) <> orders.order_count
    or coalesce(daily.total_due, 0) <> coalesce(orders.total_due, 0)

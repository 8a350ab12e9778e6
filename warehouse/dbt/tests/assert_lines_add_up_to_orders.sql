-- Both grains hold the same money: the lines of an order sum to what the order's row says.
with lines as (
    select
        order_id,
        count(*) as line_count,
        sum(line_net) as line_net_total
    from {{ ref('fct_sales_order_line') }}
    group by order_id
)

select
    orders.order_id,
    orders.line_net_total,
    lines.line_net_total as line_net_total_of_lines
from {{ ref('fct_sales_order') }} as orders
left join lines
    on orders.order_id = lines.order_id
where
    orders.line_net_total <> coalesce(lines.line_net_total, 0)
    or orders.line_count <> coalesce(lines.line_count, 0)

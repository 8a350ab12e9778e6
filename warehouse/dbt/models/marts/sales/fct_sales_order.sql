with orders as (
    select * from {{ ref('stg_orders__sales_order') }}
    where {{ hot_keys('order_id') }}
),

-- grain: order
lines as (
    select
        order_id,
        count(*) as line_count,
        sum(quantity) as quantity,
        sum(line_net) as line_net_total
    from {{ ref('int_sales__order_line') }}
    where {{ hot_keys('order_id') }}
    group by order_id
)

select
    orders.order_id,
    orders.order_number,
    orders.account_uuid,
    orders.order_status,
    {{ is_sale('orders.order_status') }} as is_sale,
    orders.channel,
    orders.order_date,
    orders.due_date,
    orders.ship_date,
    orders.currency,
    orders.sub_total,
    orders.tax_amount,
    orders.freight,
    orders.sub_total + orders.tax_amount + orders.freight as total_due,
    coalesce(lines.line_count, 0) as line_count,
    coalesce(lines.quantity, 0) as quantity,
    coalesce(lines.line_net_total, 0) as line_net_total,
    orders.shipping_method,
    orders.purchase_order_number,
    orders.salesperson_id,
    orders.owner_id,
    orders.team_id,
    orders.territory_id,
    orders.created_at,
    orders.updated_at,
    orders.committed_at
from orders
left join lines
    on orders.order_id = lines.order_id

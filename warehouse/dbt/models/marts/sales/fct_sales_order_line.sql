with orders as (
    select * from {{ ref('stg_orders__sales_order') }}
    where {{ hot_keys('order_id') }}
),

lines as (
    select * from {{ ref('int_sales__order_line') }}
    where {{ hot_keys('order_id') }}
)

select
    lines.order_line_id,
    lines.order_id,
    orders.order_number,
    lines.line_no,
    orders.account_uuid,
    orders.order_status,
    {{ is_sale('orders.order_status') }} as is_sale,
    orders.channel,
    orders.order_date,
    orders.currency,
    lines.product_id,
    lines.sku,
    lines.product_name,
    lines.quantity,
    lines.unit_price,
    lines.discount,
    lines.special_offer,
    lines.line_gross,
    lines.line_discount,
    lines.line_net,
    orders.owner_id,
    orders.team_id,
    orders.territory_id,
    lines.committed_at
from lines
inner join orders
    on lines.order_id = orders.order_id

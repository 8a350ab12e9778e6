-- numeric multiplication is exact, so none of these amounts is rounded
select
    *,
    quantity * unit_price as line_gross,
    quantity * unit_price * discount as line_discount,
    quantity * unit_price * (1 - discount) as line_net
from {{ ref('stg_orders__sales_order_line') }}

-- A header's sub total is the sum of its lines' exact nets, up to the rounding of its own last digit.
-- A draft may still be edited line by line, so it is not held to it.
select
    order_id,
    order_number,
    sub_total,
    line_net_total
from {{ ref('fct_sales_order') }}
where
    order_status <> 'draft'
    and abs(sub_total - line_net_total) > {{ var('sub_total_tolerance') }}

select
    id as order_line_id,
    order_id,
    line_no,
    product_id,
    sku,
    product_name,
    quantity,
    unit_price,
    discount,
    special_offer,
    carrier_tracking_number,
    _committed_at as committed_at
from {{ source('orders', 'sales_order_line') }}
where not _deleted

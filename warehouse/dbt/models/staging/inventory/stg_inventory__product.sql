select
    id as product_id,
    sku,
    name as product_name,
    category_id,
    color,
    size,
    standard_cost,
    list_price,
    currency,
    sell_start,
    sell_end,
    is_active,
    custom,
    version,
    created_at,
    updated_at,
    _committed_at as committed_at
from {{ source('inventory', 'product') }}
where not _deleted

select
    product_id,
    sku,
    name as product_name,
    is_active,
    list_price,
    currency,
    replica_version,
    _committed_at as committed_at
from {{ source('orders', 'product_replica') }}
where not _deleted

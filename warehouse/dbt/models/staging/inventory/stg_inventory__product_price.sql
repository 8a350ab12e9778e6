select
    id as product_price_id,
    product_id,
    amount,
    currency,
    valid_from,
    valid_to,
    _committed_at as committed_at
from {{ source('inventory', 'product_price') }}
where not _deleted

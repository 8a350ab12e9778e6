select
    id as category_id,
    name as category_name,
    parent_id as parent_category_id,
    _committed_at as committed_at
from {{ source('inventory', 'product_category') }}
where not _deleted

select
    id as external_reference_id,
    source,
    key as source_key,
    resource,
    resource_id,
    _committed_at as committed_at
from {{ source('inventory', 'external_reference') }}
where not _deleted

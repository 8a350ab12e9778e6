select
    id as territory_id,
    name as territory_name,
    country_code,
    group_name as territory_group,
    version,
    created_at,
    updated_at,
    _committed_at as committed_at
from {{ source('identity', 'territory') }}
where not _deleted

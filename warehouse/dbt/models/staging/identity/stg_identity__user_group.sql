select
    id as user_group_id,
    name as user_group_name,
    roles,
    _committed_at as committed_at
from {{ source('identity', 'user_group') }}
where not _deleted

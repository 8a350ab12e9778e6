select
    id as user_id,
    username,
    display_name,
    email,
    is_active,
    team_id,
    territory_ids,
    version,
    created_at,
    updated_at,
    _committed_at as committed_at
from {{ source('identity', 'user_account') }}
where not _deleted

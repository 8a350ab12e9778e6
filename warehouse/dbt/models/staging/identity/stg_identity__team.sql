select
    id as team_id,
    name as team_name,
    parent_id as parent_team_id,
    version,
    created_at,
    updated_at,
    _committed_at as committed_at
from {{ source('identity', 'team') }}
where not _deleted

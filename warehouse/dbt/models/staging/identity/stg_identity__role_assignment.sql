select
    id as role_assignment_id,
    user_id,
    role,
    _committed_at as committed_at
from {{ source('identity', 'role_assignment') }}
where not _deleted

select
    id as group_membership_id,
    user_id,
    group_id as user_group_id,
    _committed_at as committed_at
from {{ source('identity', 'group_membership') }}
where not _deleted

select
    id as access_log_id,
    at as accessed_at,
    kind,
    actor_id,
    actor_name,
    on_behalf_of,
    action,
    resource,
    resource_id,
    request_id,
    detail,
    _committed_at as committed_at
from {{ source('orders', 'access_log') }}
where not _deleted

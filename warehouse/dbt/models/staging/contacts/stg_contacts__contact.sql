select
    id as contact_id,
    account_uuid,
    first_name,
    last_name,
    title,
    email,
    phone,
    job_title,
    custom,
    owner_id,
    team_id,
    territory_id,
    version,
    created_at,
    updated_at,
    _committed_at as committed_at
from {{ source('contacts', 'contact') }}
where not _deleted

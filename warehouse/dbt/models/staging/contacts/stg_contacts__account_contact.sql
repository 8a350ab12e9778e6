select
    id as account_contact_id,
    account_uuid,
    contact_id,
    role as contact_role,
    _committed_at as committed_at
from {{ source('contacts', 'account_contact') }}
where not _deleted

select
    id as account_relationship_id,
    from_account as from_account_uuid,
    to_account as to_account_uuid,
    kind as relationship_kind,
    _committed_at as committed_at
from {{ source('contacts', 'account_relationship') }}
where not _deleted

select
    account_uuid,
    name as account_name,
    account_status,
    account_type,
    replica_version,
    tax_id,
    credit_limit,
    currency,
    payment_terms,
    balance_due,
    on_credit_hold,
    hold_reason,
    hold_since,
    owner_id,
    team_id,
    territory_id,
    version,
    _committed_at as committed_at
from {{ source('finance', 'account_profile') }}
where not _deleted

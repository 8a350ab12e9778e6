select
    account_uuid,
    name as account_name,
    account_status,
    account_type,
    replica_version,
    default_shipping_method,
    is_taxable,
    owner_id,
    team_id,
    territory_id,
    _committed_at as committed_at
from {{ source('orders', 'account_profile') }}
where not _deleted

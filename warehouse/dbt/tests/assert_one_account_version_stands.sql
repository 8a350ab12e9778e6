-- An account that exists has exactly one current version, and it says what the account says; what is gone has none.
select
    coalesce(dim.account_uuid, version.account_uuid) as row_id
from {{ ref('dim_account') }} as dim
full join (select * from {{ ref('dim_account_version') }} where is_current) as version
    on dim.account_uuid = version.account_uuid
where
    (dim.account_number, dim.account_name, dim.account_status, dim.industry, dim.parent_account_uuid, dim.territory_id)
    is distinct from (
        version.account_number, version.account_name, version.account_status, version.industry,
        version.parent_account_uuid, version.territory_id
    )

union all

select
    account_uuid as row_id
from {{ ref('dim_account_version') }}
where is_current
group by account_uuid
having count(*) > 1

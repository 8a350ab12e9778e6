with recursive

-- grain: account x ancestor or self, walked upwards; a chain stops at a deleted parent and never runs in a circle
ancestry as (
    select
        account_uuid,
        account_uuid as ancestor_uuid,
        parent_account_uuid as next_uuid,
        array[account_uuid] as hierarchy_path
    from {{ ref('stg_contacts__account') }}
    where {{ hot_keys('account_uuid') }}

    union all

    select
        ancestry.account_uuid,
        parent.account_uuid as ancestor_uuid,
        parent.parent_account_uuid as next_uuid,
        parent.account_uuid || ancestry.hierarchy_path as hierarchy_path
    from ancestry
    inner join {{ ref('stg_contacts__account') }} as parent
        on ancestry.next_uuid = parent.account_uuid
    where parent.account_uuid <> all(ancestry.hierarchy_path)
),

-- grain: account
hierarchy as (
    select distinct on (account_uuid)
        account_uuid,
        hierarchy_path
    from ancestry
    order by account_uuid, cardinality(hierarchy_path) desc
),

account as (
    select * from {{ ref('stg_contacts__account') }}
    where {{ hot_keys('account_uuid') }}
)

select
    account.account_uuid,
    account.account_number,
    account.account_name,
    account.account_type,
    account.account_status,
    account.industry,
    account.annual_revenue,
    account.currency,
    account.primary_contact_kind,
    account.primary_contact_id,
    account.billing_address ->> 'city' as billing_city,
    account.billing_address ->> 'region' as billing_region,
    account.billing_address ->> 'country' as billing_country,
    account.parent_account_uuid,
    hierarchy.hierarchy_path[1] as root_account_uuid,
    cardinality(hierarchy.hierarchy_path) - 1 as hierarchy_depth,
    hierarchy.hierarchy_path,
    account.owner_id,
    account.team_id,
    account.territory_id,
    account.created_at,
    account.updated_at,
    account.committed_at
from account
inner join hierarchy
    on account.account_uuid = hierarchy.account_uuid

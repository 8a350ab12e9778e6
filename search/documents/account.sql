-- Documents of the accounts $1; one that is absent or deleted gives no row.
select
    account.account_uuid as id,
    account.account_number as number,
    account.name as title,
    concat_ws(' · ', account.account_number, account.account_type, account.industry) as subtitle,
    null as parent,
    array[account.account_number] as codes,
    array[
        array['industry', account.industry],
        array['city', account.billing_address ->> 'city'],
        array['region', account.billing_address ->> 'region'],
        array['postal_code', account.billing_address ->> 'postal_code'],
        array['shipping_city', nullif(account.shipping_address ->> 'city', account.billing_address ->> 'city')]
    ] as details,
    null::text [] as items,
    account.owner_id,
    account.team_id,
    account.territory_id,
    null::uuid as parent_owner_id,
    null::uuid as parent_team_id,
    null::uuid as parent_territory_id,
    jsonb_build_object(
        'status', account.status,
        'account_type', account.account_type,
        'industry', account.industry,
        'country', account.billing_address ->> 'country'
    ) as facts,
    case account.status when 'Active' then 1 when 'On Hold' then 0.8 else 0.3 end::float8 as rank
from raw_contacts.account as account
where account.account_uuid = any ($1::uuid []) and not account._deleted

-- Documents of the contacts $1, each with the account that it belongs to as its parent.
select
    contact.id,
    '' as number,
    concat_ws(' ', nullif(contact.first_name, ''), contact.last_name) as title,
    coalesce(contact.job_title, '') as subtitle,
    account.name as parent,
    array[]::text [] as codes,
    array[
        array['email', contact.email],
        array['phone', contact.phone],
        array['job_title', contact.job_title]
    ] as details,
    null::text [] as items,
    contact.owner_id,
    contact.team_id,
    contact.territory_id,
    account.owner_id as parent_owner_id,
    account.team_id as parent_team_id,
    account.territory_id as parent_territory_id,
    jsonb_build_object('account', contact.account_uuid) as facts,
    0.5::float8 as rank
from raw_contacts.contact as contact
left join raw_contacts.account as account
    on contact.account_uuid = account.account_uuid and not account._deleted
where contact.id = any ($1::uuid []) and not contact._deleted

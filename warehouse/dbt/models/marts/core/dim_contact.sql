with contact as (
    select * from {{ ref('stg_contacts__contact') }}
    where {{ hot_keys('contact_id') }}
)

select
    contact.contact_id,
    contact.account_uuid,
    account.account_name,
    contact.title,
    contact.first_name,
    contact.last_name,
    concat_ws(' ', contact.first_name, contact.last_name) as full_name,
    contact.job_title,
    contact.email,
    contact.phone,
    contact.owner_id,
    contact.team_id,
    contact.territory_id,
    contact.created_at,
    contact.updated_at,
    contact.committed_at
from contact
left join {{ ref('stg_contacts__account') }} as account
    on contact.account_uuid = account.account_uuid

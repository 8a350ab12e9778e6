select
    contact_id,
    account_uuid,
    title,
    first_name,
    last_name,
    concat_ws(' ', first_name, last_name) as full_name,
    job_title,
    email,
    phone,
    owner_id,
    team_id,
    territory_id,
    created_at,
    updated_at,
    committed_at
from {{ ref('stg_contacts__contact') }}
where {{ hot_keys('contact_id') }}

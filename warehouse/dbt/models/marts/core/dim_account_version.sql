with

{% call versions('contacts', 'account', 'account_uuid', 'account_uuid') -%}
    {{ state_object([
        'account_number', 'name', 'account_type', 'status', 'industry', 'annual_revenue', 'currency',
        'billing_address', 'parent_id', 'owner_id', 'team_id', 'territory_id',
    ]) }}
{%- endcall %}

select
    account_uuid,
    version_number,
    valid_from,
    valid_to,
    is_current,
    ended_by,
    attributes ->> 'account_number' as account_number,
    attributes ->> 'name' as account_name,
    attributes ->> 'account_type' as account_type,
    attributes ->> 'status' as account_status,
    attributes ->> 'industry' as industry,
    (attributes ->> 'annual_revenue')::numeric as annual_revenue,
    attributes ->> 'currency' as currency,
    (attributes ->> 'billing_address')::jsonb ->> 'city' as billing_city,
    (attributes ->> 'billing_address')::jsonb ->> 'region' as billing_region,
    (attributes ->> 'billing_address')::jsonb ->> 'country' as billing_country,
    (attributes ->> 'parent_id')::uuid as parent_account_uuid,
    (attributes ->> 'owner_id')::uuid as version_owner_id,
    (attributes ->> 'team_id')::uuid as version_team_id,
    (attributes ->> 'territory_id')::uuid as version_territory_id,
    (state_now ->> 'owner_id')::uuid as owner_id,
    (state_now ->> 'team_id')::uuid as team_id,
    (state_now ->> 'territory_id')::uuid as territory_id
from version

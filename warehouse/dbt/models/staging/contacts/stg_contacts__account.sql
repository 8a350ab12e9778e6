with source as (
    select * from {{ source('contacts', 'account') }}
    where not _deleted
),

renamed as (
    select
        account_uuid,
        account_number,
        name as account_name,
        account_type,
        status as account_status,
        status_before_hold,
        primary_contact_kind,
        primary_contact_id,
        billing_address,
        shipping_address,
        industry,
        annual_revenue,
        currency,
        parent_id as parent_account_uuid,
        custom,
        owner_id,
        team_id,
        territory_id,
        version,
        created_at,
        updated_at,
        _committed_at as committed_at
    from source
)

select * from renamed

with source as (
    select * from {{ source('orders', 'sales_order') }}
    where not _deleted
),

renamed as (
    select
        id as order_id,
        order_number,
        account_uuid,
        status as order_status,
        channel,
        order_date,
        due_date,
        ship_date,
        currency,
        sub_total,
        tax_amount,
        freight,
        shipping_method,
        purchase_order_number,
        salesperson_id,
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

-- What the things with ids $2 are called, as far as reader $1 may see them.
select
    ops.tokens_valid_from($1) as tokens_valid_from,
    (
        select coalesce(jsonb_object_agg(named.id, named.name), '{}')
        from (
            select user_id as id, display_name as name from staging.stg_identity__user_account
            where user_id = any ($2::uuid [])
            union all
            select team_id, team_name from staging.stg_identity__team
            where team_id = any ($2::uuid [])
            union all
            select territory_id, territory_name from staging.stg_identity__territory
            where territory_id = any ($2::uuid [])
            union all
            select account_uuid, account_name from staging.stg_contacts__account
            where account_uuid = any ($2::uuid [])
            union all
            select contact_id, concat_ws(' ', first_name, last_name) from staging.stg_contacts__contact
            where contact_id = any ($2::uuid [])
            union all
            select order_id, order_number from staging.stg_orders__sales_order
            where order_id = any ($2::uuid [])
            union all
            select product_id, product_name from staging.stg_inventory__product
            where product_id = any ($2::uuid [])
            union all
            select category_id, category_name from staging.stg_inventory__product_category
            where category_id = any ($2::uuid [])
        ) as named
    ) as names

-- Documents of the orders $1: header, what was ordered, and the account as Orders knows it as their parent.
-- Later orders rank higher: 1 is the year 2050, 0 is 1970.
select
    sales_order.id,
    sales_order.order_number as number,
    sales_order.order_number as title,
    concat_ws(' · ', sales_order.status, sales_order.order_date) as subtitle,
    account.name as parent,
    array_remove(array[sales_order.order_number, sales_order.purchase_order_number], null) as codes,
    array[
        array['purchase_order_number', sales_order.purchase_order_number]
    ] as details,
    lines.items,
    sales_order.owner_id,
    sales_order.team_id,
    sales_order.territory_id,
    account.owner_id as parent_owner_id,
    account.team_id as parent_team_id,
    account.territory_id as parent_territory_id,
    jsonb_build_object(
        'status', sales_order.status,
        'channel', sales_order.channel,
        'account', sales_order.account_uuid,
        'year', extract(year from sales_order.order_date)::int::text,
        'currency', sales_order.currency
    ) as facts,
    greatest(0, least(1, (sales_order.order_date - date '1970-01-01') / 29220.0))::float8 as rank
from raw_orders.sales_order as sales_order
left join raw_orders.account_profile as account
    on sales_order.account_uuid = account.account_uuid and not account._deleted
left join lateral (
    select array_agg(found.item order by found.item) as items
    from (
        select distinct concat_ws(' ', line.product_name, line.sku) as item
        from raw_orders.sales_order_line as line
        where line.order_id = sales_order.id and not line._deleted
        order by item
        limit 500
    ) as found
) as lines on true
where sales_order.id = any ($1::uuid []) and not sales_order._deleted

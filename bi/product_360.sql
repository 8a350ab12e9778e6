-- Product $2 with its prices, its place in the catalogue and, where $3 permits, its last orders; for reader $1.
with recursive

product as (
    select * from staging.stg_inventory__product
    where product_id = $2
),

-- grain: category above the product, nearest first
above as (
    select
        category.category_id,
        category.category_name,
        category.parent_category_id as next_id,
        0 as steps,
        array[category.category_id] as path
    from product
    inner join staging.stg_inventory__product_category as category
        on product.category_id = category.category_id

    union all

    select
        parent.category_id,
        parent.category_name,
        parent.parent_category_id as next_id,
        above.steps + 1 as steps,
        above.path || parent.category_id as path
    from above
    inner join staging.stg_inventory__product_category as parent
        on above.next_id = parent.category_id
    where parent.category_id <> all (above.path)
),

lines as (
    select * from marts.fct_sales_order_line
    where product_id = $2
    order by order_date desc, order_number desc, line_no
    limit 20
),

-- grain: currency
sales as (
    select
        currency,
        count(distinct order_id) as order_count,
        sum(quantity) as quantity,
        sum(line_net) as line_net
    from marts.fct_sales_order_line
    where product_id = $2 and is_sale
    group by currency
)

select
    ops.tokens_valid_from($1) as tokens_valid_from,
    (
        select
            jsonb_build_object(
                'product_id', product.product_id,
                'sku', product.sku,
                'name', product.product_name,
                'color', product.color,
                'size', product.size,
                'standard_cost', product.standard_cost::text,
                'list_price', product.list_price::text,
                'currency', product.currency,
                'sell_start', product.sell_start,
                'sell_end', product.sell_end,
                'is_active', product.is_active,
                'version', product.version,
                'category_path', (
                    select
                        coalesce(
                            jsonb_agg(
                                jsonb_build_object('category_id', above.category_id, 'name', above.category_name)
                                order by above.steps desc
                            ),
                            '[]'
                        )
                    from above
                ),
                'prices', (
                    select
                        coalesce(
                            jsonb_agg(
                                jsonb_build_object(
                                    'amount', price.amount::text,
                                    'currency', price.currency,
                                    'valid_from', price.valid_from,
                                    'valid_to', price.valid_to
                                )
                                order by price.valid_from desc, price.currency
                            ),
                            '[]'
                        )
                    from staging.stg_inventory__product_price as price
                    where price.product_id = $2
                ),
                'orders', case when $3 then (
                    select
                        coalesce(
                            jsonb_agg(
                                jsonb_build_object(
                                    'order_id', lines.order_id,
                                    'order_number', lines.order_number,
                                    'order_date', lines.order_date,
                                    'order_status', lines.order_status,
                                    'account_uuid', lines.account_uuid,
                                    'account_name', account.account_name,
                                    'currency', lines.currency,
                                    'quantity', lines.quantity::text,
                                    'unit_price', lines.unit_price::text,
                                    'line_net', lines.line_net::text
                                )
                                order by lines.order_date desc, lines.order_number desc, lines.line_no
                            ),
                            '[]'
                        )
                    from lines
                    left join staging.stg_contacts__account as account
                        on lines.account_uuid = account.account_uuid
                ) end,
                'sales', case when $3 then (
                    select
                        coalesce(
                            jsonb_agg(
                                jsonb_build_object(
                                    'currency', sales.currency,
                                    'order_count', sales.order_count,
                                    'quantity', sales.quantity::text,
                                    'line_net', sales.line_net::text
                                )
                                order by sales.line_net desc
                            ),
                            '[]'
                        )
                    from sales
                ) end,
                'watermark', ops.watermark()
            )
        from product
    ) as document

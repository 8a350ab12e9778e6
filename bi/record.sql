-- The contact, order or product $2 (the one that $3 names), laid out as its service's API lays it out; for reader $1.
with

contact as (
    select jsonb_build_object(
        'id', contact_id,
        'account_uuid', account_uuid,
        'first_name', first_name,
        'last_name', last_name,
        'title', title,
        'email', email,
        'phone', phone,
        'job_title', job_title,
        'owner_id', owner_id,
        'team_id', team_id,
        'territory_id', territory_id,
        'custom', custom,
        'version', version
    ) as document
    from staging.stg_contacts__contact
    where $3 = 'contacts.contact' and contact_id = $2
),

lines as (
    select jsonb_agg(
        jsonb_build_object(
            'line_no', line.line_no,
            'product_id', line.product_id,
            'sku', line.sku,
            'product_name', line.product_name,
            'quantity', line.quantity::text,
            'unit_price', line.unit_price::text,
            'discount', line.discount::text,
            'net', mart.line_net::text,
            'special_offer', line.special_offer,
            'carrier_tracking_number', line.carrier_tracking_number
        )
        order by line.line_no
    ) as document
    from staging.stg_orders__sales_order_line as line
    -- a line's net is defined in the marts alone; of one that the hot lane has yet to take it is unknown
    left join marts.fct_sales_order_line as mart
        on line.order_line_id = mart.order_line_id
    where $3 = 'orders.sales_order' and line.order_id = $2
),

sales_order as (
    select jsonb_build_object(
        'id', header.order_id,
        'order_number', header.order_number,
        'account_uuid', header.account_uuid,
        'status', header.order_status,
        'channel', header.channel,
        'order_date', header.order_date,
        'due_date', header.due_date,
        'ship_date', header.ship_date,
        'currency', header.currency,
        'sub_total', header.sub_total::text,
        'tax_amount', header.tax_amount::text,
        'freight', header.freight::text,
        'total_due', (header.sub_total + header.tax_amount + header.freight)::text,
        'billing_address', mirror.billing_address,
        'shipping_address', mirror.shipping_address,
        'shipping_method', header.shipping_method,
        'purchase_order_number', header.purchase_order_number,
        'salesperson_id', header.salesperson_id,
        'lines', coalesce((select lines.document from lines), '[]'),
        'owner_id', header.owner_id,
        'team_id', header.team_id,
        'territory_id', header.territory_id,
        'custom', header.custom,
        'version', header.version
    ) as document
    from staging.stg_orders__sales_order as header
    inner join raw_orders.sales_order as mirror
        on header.order_id = mirror.id
    where $3 = 'orders.sales_order' and header.order_id = $2
),

product as (
    select jsonb_build_object(
        'id', product_id,
        'sku', sku,
        'name', product_name,
        'category_id', category_id,
        'color', color,
        'size', size,
        'standard_cost', standard_cost::text,
        'list_price', list_price::text,
        'currency', currency,
        'sell_start', sell_start,
        'sell_end', sell_end,
        'is_active', is_active,
        'custom', custom,
        'version', version
    ) as document
    from staging.stg_inventory__product
    where $3 = 'inventory.product' and product_id = $2
)

select
    ops.tokens_valid_from($1) as tokens_valid_from,
    (
        select jsonb_build_object('record', found.document, 'watermark', ops.watermark())
        from (
            select document from contact
            union all
            select document from sales_order
            union all
            select document from product
        ) as found
    ) as document

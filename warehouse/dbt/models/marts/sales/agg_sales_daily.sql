-- grain: order date x channel x territory x currency
with sales as (
    select
        order_date,
        channel,
        territory_id,
        currency,
        count(*) as order_count,
        sum(line_count) as line_count,
        sum(quantity) as quantity,
        sum(line_net_total) as line_net_total,
        sum(sub_total) as sub_total,
        sum(tax_amount) as tax_amount,
        sum(freight) as freight,
        sum(total_due) as total_due
    from {{ ref('fct_sales_order') }}
    where
        is_sale
        and {{ hot_keys('order_date') }}
    group by order_date, channel, territory_id, currency
)

select
    md5(concat_ws('|', order_date, channel, coalesce(territory_id::text, ''), currency)) as sales_daily_id,
    order_date,
    channel,
    territory_id,
    currency,
    order_count,
    line_count,
    quantity,
    line_net_total,
    sub_total,
    tax_amount,
    freight,
    total_due,
    {{ divide('total_due', 'order_count') }} as average_order_value
from sales

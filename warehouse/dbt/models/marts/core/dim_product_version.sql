with

{% call versions('inventory', 'product', 'id', 'product_id') -%}
    {{ state_object([
        'sku', 'name', 'category_id', 'color', 'size', 'standard_cost', 'list_price', 'currency', 'sell_start',
        'sell_end', 'is_active',
    ]) }}
{%- endcall %}

select
    product_id,
    version_number,
    valid_from,
    valid_to,
    is_current,
    ended_by,
    attributes ->> 'sku' as sku,
    attributes ->> 'name' as product_name,
    (attributes ->> 'category_id')::uuid as category_id,
    attributes ->> 'color' as color,
    attributes ->> 'size' as size,
    (attributes ->> 'standard_cost')::numeric as standard_cost,
    (attributes ->> 'list_price')::numeric as list_price,
    attributes ->> 'currency' as currency,
    (attributes ->> 'sell_start')::date as sell_start,
    (attributes ->> 'sell_end')::date as sell_end,
    (attributes ->> 'is_active')::boolean as is_active
from version

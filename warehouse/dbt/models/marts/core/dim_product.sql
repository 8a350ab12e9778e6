with recursive

-- grain: category x number of steps walked upwards from it; few rows, so always the whole tree
ancestry as (
    select
        category_id,
        parent_category_id as next_id,
        category_name as root_category_name,
        array[category_id] as category_ids,
        category_name as category_path
    from {{ ref('stg_inventory__product_category') }}

    union all

    select
        ancestry.category_id,
        parent.parent_category_id as next_id,
        parent.category_name as root_category_name,
        parent.category_id || ancestry.category_ids as category_ids,
        parent.category_name || ' > ' || ancestry.category_path as category_path
    from ancestry
    inner join {{ ref('stg_inventory__product_category') }} as parent
        on ancestry.next_id = parent.category_id
    where parent.category_id <> all(ancestry.category_ids)
),

-- grain: category
category as (
    select distinct on (category_id)
        category_id,
        root_category_name,
        category_ids,
        category_path
    from ancestry
    order by category_id, cardinality(category_ids) desc
),

product as (
    select * from {{ ref('stg_inventory__product') }}
    where {{ hot_keys('product_id') }}
)

select
    product.product_id,
    product.sku,
    product.product_name,
    product.category_id,
    category.root_category_name,
    category.category_path,
    category.category_ids,
    product.color,
    product.size,
    product.standard_cost,
    product.list_price,
    product.currency,
    product.list_price - product.standard_cost as list_margin,
    {{ divide('product.list_price - product.standard_cost', 'product.list_price') }} as list_margin_share,
    product.sell_start,
    product.sell_end,
    product.is_active,
    product.created_at,
    product.updated_at,
    product.committed_at
from product
left join category
    on product.category_id = category.category_id

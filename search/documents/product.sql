-- Documents of the products $1, each with the names of its category and of every category above.
with recursive

-- grain: product x category above it, nearest first; a circle ends where it began
above as (
    select
        product.id as product_id,
        category.id,
        category.name,
        category.parent_id,
        array[category.id] as path
    from raw_inventory.product as product
    inner join raw_inventory.product_category as category
        on product.category_id = category.id and not category._deleted
    where product.id = any ($1::uuid [])

    union all

    select
        above.product_id,
        category.id,
        category.name,
        category.parent_id,
        above.path || category.id as path
    from above
    inner join raw_inventory.product_category as category
        on above.parent_id = category.id and not category._deleted
    where category.id <> all (above.path)
),

categories as (
    select
        product_id,
        string_agg(name, ' › ' order by cardinality(path) desc) as path_name,
        (array_agg(name order by cardinality(path)))[1] as category_name
    from above
    group by product_id
)

select
    product.id,
    product.sku as number,
    product.name as title,
    concat_ws(' · ', product.sku, categories.path_name, product.color) as subtitle,
    null as parent,
    array[product.sku] as codes,
    array[
        array['category', categories.path_name],
        array['color', product.color],
        array['size', product.size]
    ] as details,
    null::text [] as items,
    null::uuid as owner_id,
    null::uuid as team_id,
    null::uuid as territory_id,
    null::uuid as parent_owner_id,
    null::uuid as parent_team_id,
    null::uuid as parent_territory_id,
    jsonb_build_object(
        'status', case when product.is_active then 'Active' else 'Inactive' end,
        'category', categories.category_name,
        'color', product.color
    ) as facts,
    case when product.is_active then 1 else 0.3 end::float8 as rank
from raw_inventory.product as product
left join categories
    on product.id = categories.product_id
where product.id = any ($1::uuid []) and not product._deleted

-- A product that exists has exactly one current version, and it says what the product says; what is gone has none.
select
    coalesce(dim.product_id, version.product_id) as row_id
from {{ ref('dim_product') }} as dim
full join (select * from {{ ref('dim_product_version') }} where is_current) as version
    on dim.product_id = version.product_id
where
    (dim.sku, dim.product_name, dim.category_id, dim.standard_cost, dim.list_price, dim.is_active)
    is distinct from (
        version.sku, version.product_name, version.category_id, version.standard_cost, version.list_price,
        version.is_active
    )

union all

select
    product_id as row_id
from {{ ref('dim_product_version') }}
where is_current
group by product_id
having count(*) > 1

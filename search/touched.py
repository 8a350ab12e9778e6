"""Which documents a batch touched: SQL per entity and source table over the batch's before and after images.

``changed`` has the columns ``before``, ``after`` (either may be null) and ``image`` (each of them, and the key).
"""

from __future__ import annotations

from typing import Final

_MOVED: Final = """
        where before is null or after is null
            or (before ->> 'name', before ->> 'owner_id', before ->> 'team_id', before ->> 'territory_id')
            is distinct from (after ->> 'name', after ->> 'owner_id', after ->> 'team_id', after ->> 'territory_id')"""
"""Of a parent, children's documents hold its name and its scope: nothing else of it concerns them."""

TOUCHED: Final[dict[str, dict[tuple[str, str], str]]] = {
    "account": {
        ("contacts", "account"): "select (image ->> 'account_uuid')::uuid from changed",
    },
    "contact": {
        ("contacts", "contact"): "select (image ->> 'id')::uuid from changed",
        ("contacts", "account"): f"""
    select contact.id
    from raw_contacts.contact as contact
    where contact.account_uuid in (
        select (image ->> 'account_uuid')::uuid
        from changed {_MOVED}
    )""",
    },
    "product": {
        ("inventory", "product"): "select (image ->> 'id')::uuid from changed",
        ("inventory", "product_category"): """
    with recursive below as (
        select distinct (image ->> 'id')::uuid as id
        from changed

        union

        select category.id
        from below
        inner join raw_inventory.product_category as category on below.id = category.parent_id
    )

    select product.id
    from below
    inner join raw_inventory.product as product on below.id = product.category_id""",
    },
    "order": {
        ("orders", "sales_order"): "select (image ->> 'id')::uuid from changed",
        ("orders", "sales_order_line"): "select (image ->> 'order_id')::uuid from changed",
        ("orders", "account_profile"): f"""
    select sales_order.id
    from raw_orders.sales_order as sales_order
    where sales_order.account_uuid in (
        select (image ->> 'account_uuid')::uuid
        from changed {_MOVED}
    )""",
    },
}
"""Entity → source table → SQL for the keys of its documents."""


def collect_sql(entity: str, table: tuple[str, str]) -> str:
    """Adds the keys to the session's table ``touched``; ``$1`` batch ids, ``$2`` the days they landed on."""
    schema_name, table_name = table
    return f"""
insert into pg_temp.touched (entity, id)
select distinct '{entity}', found.id
from (
    with changed as materialized (
        select change.before, change.after, images.image
        from log.change_log as change
        cross join lateral (values (change.key), (change.before), (change.after)) as images (image)
        where change.batch_id = any($1::bigint[]) and change.landed_on = any($2::date[])
            and change.schema_name = '{schema_name}' and change.table_name = '{table_name}'
            and images.image is not null
    )
    select reached.id
    from (
    {TOUCHED[entity][table]}
    ) as reached (id)
) as found (id)
where found.id is not null
on conflict do nothing"""

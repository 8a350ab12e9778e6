"""A category tree without cycles, and one price a day for each product and currency, kept by the database itself."""

from __future__ import annotations

from django.db import migrations

# The lock makes changes of the tree take turns, so that two moves at once cannot close a loop that neither sees.
TREE = """
create function product_category_acyclic() returns trigger
language plpgsql
set search_path from current
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('inventory.product_category.parent', 0));
  if exists (
    with recursive above as (
      select id, parent_id from product_category where id = new.parent_id
      union
      select product_category.id, product_category.parent_id
      from product_category join above on product_category.id = above.parent_id
    )
    select from above where id = new.id
  ) then
    raise exception 'Category % would become its own ancestor.', new.name
      using errcode = '23514', column = 'parent_id', table = tg_table_name, schema = tg_table_schema;
  end if;
  return null;
end
$$;
create constraint trigger product_category_inserted_below after insert on product_category
  for each row when (new.parent_id is not null) execute function product_category_acyclic();
create constraint trigger product_category_moved_below after update on product_category
  for each row when (new.parent_id is not null and new.parent_id is distinct from old.parent_id)
  execute function product_category_acyclic();
"""

# An exclusion constraint on (product, currency, period) needs btree_gist, which the embedded PostgreSQL lacks.
# Deferred, so that a period can be ended and its successor written in one transaction; the product's row is the lock
# that makes transactions take turns.
PERIODS = """
create function product_price_alone() returns trigger
language plpgsql
set search_path from current
as $$
declare
  other product_price;
begin
  perform from product where id = new.product_id for no key update;
  select one.* into other
  from product_price as one
  join product_price as this on this.id = new.id
  where one.product_id = this.product_id
    and one.currency = this.currency
    and one.id <> this.id
    and daterange(one.valid_from, one.valid_to, '[]') && daterange(this.valid_from, this.valid_to, '[]')
  limit 1;
  if found then
    raise exception 'The product has a price of % % from % until % already.',
      other.amount, other.currency, other.valid_from, coalesce(other.valid_to::text, 'further notice')
      using errcode = '23514', column = 'valid_from', table = tg_table_name, schema = tg_table_schema;
  end if;
  return null;
end
$$;
create constraint trigger product_price_alone after insert or update on product_price
  deferrable initially deferred
  for each row execute function product_price_alone();
"""


class Migration(migrations.Migration):
    dependencies = [("inventory", "0001_initial")]
    operations = [
        migrations.RunSQL(TREE, "drop function product_category_acyclic() cascade"),
        migrations.RunSQL(PERIODS, "drop function product_price_alone() cascade"),
    ]

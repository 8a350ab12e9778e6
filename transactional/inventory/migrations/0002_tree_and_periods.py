"""A category tree without cycles, and one price a day for each product and currency, kept by the database itself."""

from __future__ import annotations

from django.db import migrations

from transactional.kernel.trees import acyclic

TREE = acyclic("inventory", "product_category", key="id", name="product_category", called="Category", shown="name")

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
        migrations.RunSQL(*TREE),
        migrations.RunSQL(PERIODS, "drop function product_price_alone() cascade"),
    ]

"""Order numbers from a sequence; totals that agree with their lines; lines that stand once an order is confirmed."""

from __future__ import annotations

from django.db import migrations

# 0.00005 is half a unit of the last place that money keeps: whichever way a source rounds, it lies no further off.
TOTALS = """
create function sales_order_check_totals(orders uuid[]) returns void
language plpgsql
set search_path from current
as $$
declare
  wrong record;
begin
  select sales_order.order_number, sales_order.sub_total, coalesce(lines.net, 0) as net into wrong
  from sales_order
  left join (
    select order_id, sum(quantity * unit_price * (1 - discount)) as net
    from sales_order_line
    where order_id = any(orders)
    group by order_id
  ) as lines on lines.order_id = sales_order.id
  where sales_order.id = any(orders)
    and abs(sales_order.sub_total - coalesce(lines.net, 0)) > 0.00005
  limit 1;
  if found then
    raise exception 'Order % has a subtotal of %, but its lines come to %.',
      wrong.order_number, wrong.sub_total, wrong.net
      using errcode = '23514', column = 'sub_total', table = 'sales_order';
  end if;
end
$$;

create function sales_order_total() returns trigger
language plpgsql
set search_path from current
as $$
begin
  perform sales_order_check_totals(array[new.id]);
  return null;
end
$$;
create constraint trigger sales_order_total_at_insert after insert on sales_order
  deferrable initially deferred
  for each row execute function sales_order_total();
create constraint trigger sales_order_total_at_update after update on sales_order
  deferrable initially deferred
  for each row when (new.sub_total is distinct from old.sub_total) execute function sales_order_total();

create function sales_order_settled() returns trigger
language plpgsql
as $$
begin
  if new.status = 'draft' then
    raise exception 'Order % is %: it cannot become a draft again.', old.order_number, old.status
      using errcode = '23514', column = 'status', table = tg_table_name, schema = tg_table_schema;
  end if;
  raise exception 'Order % is %: its account, date, currency and amounts cannot change.', old.order_number, old.status
    using errcode = '23514', column = 'sub_total', table = tg_table_name, schema = tg_table_schema;
end
$$;
create trigger sales_order_settled before update on sales_order
  for each row when (
    old.status <> 'draft'
    and (
      new.status = 'draft'
      or (new.account_uuid, new.order_date, new.currency, new.sub_total, new.tax_amount, new.freight)
        is distinct from
        (old.account_uuid, old.order_date, old.currency, old.sub_total, old.tax_amount, old.freight)
    )
  ) execute function sales_order_settled();
"""

# Lines are checked once per statement, not per row: the import of 121,317 lines comes in some thirty statements.
# So whoever changes lines writes the header first, and its lines of one change in one statement. Lines of an order that
# is no draft may be written only together: all of them in one statement (an import), never one more.
LINES = """
create function sales_order_refuse_lines(order_number text, status text) returns void
language plpgsql
as $$
begin
  raise exception 'Order % is %: its lines cannot change.', order_number, status
    using errcode = '23514', column = 'lines', table = 'sales_order_line';
end
$$;

create function sales_order_lines_inserted() returns trigger
language plpgsql
set search_path from current
as $$
begin
  perform sales_order_refuse_lines(sales_order.order_number, sales_order.status)
  from (select order_id, count(*) as lines from inserted group by order_id) as added
  join sales_order on sales_order.id = added.order_id
  where sales_order.status <> 'draft'
    and added.lines < (select count(*) from sales_order_line where sales_order_line.order_id = added.order_id);
  perform sales_order_check_totals(array(select distinct order_id from inserted));
  return null;
end
$$;
create trigger sales_order_lines_inserted after insert on sales_order_line
  referencing new table as inserted
  for each statement execute function sales_order_lines_inserted();

create function sales_order_lines_updated() returns trigger
language plpgsql
set search_path from current
as $$
declare
  touched uuid[];
begin
  select array_agg(distinct changed.order_id) into touched
  from removed
  full join inserted on inserted.id = removed.id
  cross join lateral (values (removed.order_id), (inserted.order_id)) as changed(order_id)
  where changed.order_id is not null
    and (removed.order_id, removed.product_id, removed.quantity, removed.unit_price, removed.discount)
      is distinct from
      (inserted.order_id, inserted.product_id, inserted.quantity, inserted.unit_price, inserted.discount);
  perform sales_order_refuse_lines(order_number, status)
  from sales_order
  where id = any(touched) and status <> 'draft';
  perform sales_order_check_totals(touched);
  return null;
end
$$;
create trigger sales_order_lines_updated after update on sales_order_line
  referencing old table as removed new table as inserted
  for each statement execute function sales_order_lines_updated();

create function sales_order_lines_deleted() returns trigger
language plpgsql
set search_path from current
as $$
begin
  perform sales_order_refuse_lines(order_number, status)
  from sales_order
  where id in (select order_id from removed) and status <> 'draft';
  perform sales_order_check_totals(array(select distinct order_id from removed));
  return null;
end
$$;
create trigger sales_order_lines_deleted after delete on sales_order_line
  referencing old table as removed
  for each statement execute function sales_order_lines_deleted();
"""
DROP = """
drop function sales_order_lines_deleted() cascade;
drop function sales_order_lines_updated() cascade;
drop function sales_order_lines_inserted() cascade;
drop function sales_order_refuse_lines(text, text);
"""
DROP_TOTALS = """
drop function sales_order_settled() cascade;
drop function sales_order_total() cascade;
drop function sales_order_check_totals(uuid[]);
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [
        migrations.RunSQL("create sequence sales_order_number_seq", "drop sequence sales_order_number_seq"),
        migrations.RunSQL(TOTALS, DROP_TOTALS),
        migrations.RunSQL(LINES, DROP),
    ]

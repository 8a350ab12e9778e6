"""Account numbers from a sequence; a tree of accounts that the database itself keeps free of cycles."""

from __future__ import annotations

from django.db import migrations

# The lock makes changes of the tree take turns: without it two transactions could each move one account below the other
# and neither would see the loop. READ COMMITTED (ours) sees what the one before committed, once the lock is held.
TREE = """
create function account_parent_acyclic() returns trigger
language plpgsql
set search_path from current
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('contacts.account.parent', 0));
  if exists (
    with recursive above as (
      select account_uuid, parent_id from account where account_uuid = new.parent_id
      union
      select account.account_uuid, account.parent_id
      from account join above on account.account_uuid = above.parent_id
    )
    select from above where account_uuid = new.account_uuid
  ) then
    raise exception 'Account % would become its own ancestor.', new.account_number
      using errcode = '23514', column = 'parent_id', table = tg_table_name, schema = tg_table_schema;
  end if;
  return null;
end
$$;
create constraint trigger account_inserted_below after insert on account
  for each row when (new.parent_id is not null) execute function account_parent_acyclic();
create constraint trigger account_moved_below after update on account
  for each row when (new.parent_id is not null and new.parent_id is distinct from old.parent_id)
  execute function account_parent_acyclic();
"""


class Migration(migrations.Migration):
    dependencies = [("contacts", "0001_initial")]
    operations = [
        migrations.RunSQL("create sequence account_number_seq", "drop sequence account_number_seq"),
        migrations.RunSQL(TREE, "drop function account_parent_acyclic() cascade"),
    ]

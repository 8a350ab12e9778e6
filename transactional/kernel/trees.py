"""Rows below rows of their own table, and a database that lets no row become its own ancestor."""

from __future__ import annotations

from django.db import connections

# The lock makes changes of a tree take turns: without it two transactions could each move one row below the other and
# neither would see the loop. READ COMMITTED (ours) sees what the one before committed, once the lock is held.
_ACYCLIC = """
create function {name}_acyclic() returns trigger
language plpgsql
set search_path from current
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('{lock}', 0));
  if exists (
    with recursive above as (
      select {key}, parent_id from {table} where {key} = new.parent_id
      union
      select {table}.{key}, {table}.parent_id
      from {table} join above on {table}.{key} = above.parent_id
    )
    select from above where {key} = new.{key}
  ) then
    raise exception '{called} % would become its own ancestor.', new.{shown}
      using errcode = '23514', column = 'parent_id', table = tg_table_name, schema = tg_table_schema;
  end if;
  return null;
end
$$;
create constraint trigger {table}_inserted_below after insert on {table}
  for each row when (new.parent_id is not null) execute function {name}_acyclic();
create constraint trigger {table}_moved_below after update on {table}
  for each row when (new.parent_id is not null and new.parent_id is distinct from old.parent_id)
  execute function {name}_acyclic();
"""


def acyclic(service: str, table: str, *, key: str, name: str, called: str, shown: str) -> tuple[str, str]:
    """SQL of a migration that keeps the tree of ``parent_id`` free of loops, and SQL that takes it back.

    The refusal says ``called`` and the row's column ``shown``; ``name`` begins the function's name.
    """
    lock = _lock(service, table)
    sql = _ACYCLIC.format(table=table, key=key, name=name, called=called, shown=shown, lock=lock)
    return sql, f"drop function {name}_acyclic() cascade"


def lock_tree(service: str, table: str) -> None:
    """Makes changes of a tree take turns; held to the transaction's end, and taken before any row is locked.

    The trigger that refuses loops takes the same lock. Taken only there, two moves that name each other's row would
    first lock their own rows and then meet in a deadlock.
    """
    with connections[service].cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_lock(service, table)])


def _lock(service: str, table: str) -> str:
    return f"{service}.{table}.parent"

"""Takes down every view that depends on a table, so that its columns may change type, and puts them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from warehouse.mirror import literal, quote

Connection = psycopg.Connection[tuple[Any, ...]]

# Views on the table and views on those, each with the longest way from the table: the order to make them in.
_DEPENDENTS = """
with recursive edge as (
  select distinct d.refobjid as base, r.ev_class as view
  from pg_depend d
  join pg_rewrite r on r.oid = d.objid
  where d.classid = 'pg_rewrite'::regclass
    and d.refclassid = 'pg_class'::regclass
    and r.ev_class <> d.refobjid
),
tree as (
  select view, 1 as depth
  from edge
  where base = %s::regclass
  union
  select edge.view, tree.depth + 1
  from tree
  join edge on edge.base = tree.view
)
select n.nspname, c.relname, pg_get_userbyid(c.relowner), pg_get_viewdef(c.oid), c.reloptions,
  obj_description(c.oid, 'pg_class'),
  coalesce((
    select jsonb_agg(jsonb_build_array(
      case when a.grantee = 0 then null else pg_get_userbyid(a.grantee) end, a.privilege_type, a.is_grantable))
    from aclexplode(c.relacl) a
    where a.grantee <> c.relowner
  ), '[]'),
  coalesce((
    select jsonb_object_agg(a.attname, d.description)
    from pg_description d
    join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid
    where d.classoid = 'pg_class'::regclass and d.objoid = c.oid and d.objsubid > 0
  ), '{}')
from (select view, max(depth) as depth from tree group by view) t
join pg_class c on c.oid = t.view
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v'
order by t.depth, n.nspname, c.relname
"""


@dataclass(frozen=True, slots=True)
class View:
    """All of a view that making it anew needs. ``grants`` are (role or None for PUBLIC, privilege, grantable).

    ``columns`` maps columns to their comments.
    """

    schema: str
    name: str
    owner: str
    definition: str
    options: tuple[str, ...]
    comment: str | None
    grants: tuple[tuple[str | None, str, bool], ...]
    columns: dict[str, str]

    @property
    def qualified_name(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


@dataclass(frozen=True, slots=True)
class Lost:
    """A view that could not be made again; ``definition`` is all that is left of it."""

    view: str
    reason: str
    definition: str


def take_down(connection: Connection, table: str) -> list[View]:
    """Drops every view that depends on ``table`` (quoted, qualified); gives them in the order to make them in."""
    views = [
        View(schema, name, owner, body, tuple(options or ()), comment, tuple((r, p, g) for r, p, g in grants), columns)
        for schema, name, owner, body, options, comment, grants, columns in connection.execute(_DEPENDENTS, [table])
    ]
    for view in reversed(views):
        connection.execute(f"drop view {view.qualified_name}".encode())
    return views


def put_back(connection: Connection, views: Sequence[View]) -> list[Lost]:
    """Makes the views again, each in a savepoint; gives those that no longer compile, with what stands on them."""
    lost = []
    for view in views:
        try:
            with connection.transaction():
                _create(connection, view)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                raise
            lost.append(Lost(f"{view.schema}.{view.name}", str(error).strip(), view.definition))
    return lost


def _create(connection: Connection, view: View) -> None:
    options = f" with ({', '.join(view.options)})" if view.options else ""
    statements = [f"create view {view.qualified_name}{options} as {view.definition}"]
    for role, privilege, grantable in view.grants:
        grantee = "public" if role is None else quote(role)
        option = " with grant option" if grantable else ""
        statements.append(f"grant {privilege} on {view.qualified_name} to {grantee}{option}")
    if view.comment is not None:
        statements.append(f"comment on view {view.qualified_name} is {literal(view.comment)}")
    for column, comment in view.columns.items():
        statements.append(f"comment on column {view.qualified_name}.{quote(column)} is {literal(comment)}")
    statements.append(f"alter view {view.qualified_name} owner to {quote(view.owner)}")
    for statement in statements:
        connection.execute(statement.encode())

"""Takes down the row-security policies that read a column, so that it may change its type, and puts them back.

Row security itself stays enabled meanwhile: without a policy a table shows nothing to anybody but its owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from warehouse.mirror import literal, quote

Connection = psycopg.Connection[tuple[Any, ...]]

_DEPENDENTS = """
select n.nspname, c.relname, p.polname, p.polpermissive, p.polcmd::text,
  array(
    select case when role = 0 then null else pg_get_userbyid(role) end
    from unnest(p.polroles) as role
  ),
  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy')
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where exists (
  select
  from pg_depend d
  join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  where d.classid = 'pg_policy'::regclass
    and d.objid = p.oid
    and d.refclassid = 'pg_class'::regclass
    and d.refobjid = %s::regclass
    and a.attname = %s
)
order by n.nspname, c.relname, p.polname
"""
_COMMANDS = {"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}


@dataclass(frozen=True, slots=True)
class Policy:
    """All of a policy that making it anew needs. A role of None is PUBLIC."""

    schema: str
    table: str
    name: str
    permissive: bool
    command: str
    roles: tuple[str | None, ...]
    using: str | None
    check: str | None
    comment: str | None

    @property
    def place(self) -> str:
        return f"{quote(self.name)} on {quote(self.schema)}.{quote(self.table)}"

    @property
    def clauses(self) -> str:
        using = f" using ({self.using})" if self.using is not None else ""
        return using + (f" with check ({self.check})" if self.check is not None else "")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A policy of ``table`` that could not be made again: without it the table shows its readers nothing."""

    policy: str
    table: str
    reason: str
    definition: str


def take_down(connection: Connection, table: str, column: str) -> list[Policy]:
    """Drops every policy, of ``table`` (quoted, qualified) or of another, that reads its ``column``."""
    policies = [
        Policy(schema, name, policy, permissive, _COMMANDS[command], tuple(roles), using, check, comment)
        for schema, name, policy, permissive, command, roles, using, check, comment in connection.execute(
            _DEPENDENTS, [table, column]
        )
    ]
    for policy in policies:
        connection.execute(f"drop policy {policy.place}".encode())
    return policies


def put_back(connection: Connection, policies: Sequence[Policy]) -> list[Hidden]:
    """Makes the policies again, each in a savepoint; gives those that no longer compile: less is shown without them."""
    hidden = []
    for policy in policies:
        try:
            with connection.transaction():
                _create(connection, policy)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                raise
            table = f"{policy.schema}.{policy.table}"
            hidden.append(Hidden(policy.name, table, str(error).strip(), policy.clauses.strip()))
    return hidden


def _create(connection: Connection, policy: Policy) -> None:
    kind = "permissive" if policy.permissive else "restrictive"
    roles = ", ".join("public" if role is None else quote(role) for role in policy.roles)
    connection.execute(
        f"create policy {policy.place} as {kind} for {policy.command} to {roles}{policy.clauses}".encode()
    )
    if policy.comment is not None:
        connection.execute(f"comment on policy {policy.place} is {literal(policy.comment)}".encode())

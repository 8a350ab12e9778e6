"""Logins for people who read the marts with SQL: each sees the rows that identity says they may, and nothing else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

GROUP = "wh_analyst"


class AnalystError(Exception):
    """The login cannot be made or removed; the message says why."""


def create(superuser: psycopg.Connection[tuple[Any, ...]], role: str, password: str, user_id: UUID) -> None:
    """Makes the login, or gives an existing analyst a new password and person.

    Row security asks identity's mirror what ``user_id`` may see, statement by statement, so a role that is taken away
    there is taken away here. Raises AnalystError for a name that belongs to something else.
    """
    name = sql.Identifier(role)
    with superuser.transaction():
        if not _exists(superuser, role):
            superuser.execute(sql.SQL("create role {} login").format(name))
            superuser.execute(sql.SQL("grant {} to {}").format(sql.Identifier(GROUP), name))
        elif not _is_analyst(superuser, role):
            raise AnalystError(f"The database role {role!r} exists and is no analyst's; choose another name.")
        superuser.execute(sql.SQL("alter role {} password {}").format(name, sql.Literal(password)))
        superuser.execute(
            "insert into ops.principal (role_name, user_id) values (%s, %s)"
            " on conflict (role_name) do update set user_id = excluded.user_id",
            [role, user_id],
        )


def remove(superuser: psycopg.Connection[tuple[Any, ...]], role: str) -> None:
    """Ends the login. Raises AnalystError where there is no such analyst."""
    with superuser.transaction():
        if not _exists(superuser, role) or not _is_analyst(superuser, role):
            raise AnalystError(f"There is no analyst {role!r}.")
        superuser.execute("delete from ops.principal where role_name = %s", [role])
        superuser.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        superuser.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def _exists(superuser: psycopg.Connection[tuple[Any, ...]], role: str) -> bool:
    return superuser.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone() is not None


def _is_analyst(superuser: psycopg.Connection[tuple[Any, ...]], role: str) -> bool:
    """Every role that has its rights from the group and is no superuser."""
    row = superuser.execute(
        "select pg_has_role(oid, %s, 'member') and not rolsuper from pg_roles where rolname = %s", [GROUP, role]
    ).fetchone()
    return bool(row and row[0])

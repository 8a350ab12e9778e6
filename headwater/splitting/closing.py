"""What is left in the shared database afterwards: the old tables, which nobody but a superuser reads, until dropped."""

from __future__ import annotations

import psycopg
from psycopg import sql

from headwater.provision.names import DISPATCH, LANDING
from headwater.splitting import copying, fence
from headwater.splitting.places import Places
from headwater.splitting.state import Split


def close(places: Places, split: Split) -> None:
    """Ends the copy and takes every right on the old tables from the service's roles. May run again."""
    copying.end(places)
    schema = sql.Identifier(places.service)
    runtime, owner = map(sql.Identifier, places.roles)
    with places.old() as old:
        fence.fence(old, places)
        moved = f"Moved to {split.place} by `headwater split {places.service}`; what stands here is as it was then."
        for statement in (
            "alter schema {schema} owner to current_user",
            "reassign owned by {owner} to current_user",
            "alter default privileges for role {owner} in schema {schema} revoke all on tables from {runtime}",
            "alter default privileges for role {owner} in schema {schema} revoke all on sequences from {runtime}",
            "revoke all on all tables in schema {schema} from {runtime}, {owner}, hw_replication",
            "revoke all on all sequences in schema {schema} from {runtime}, {owner}",
            "revoke all on schema {schema} from {runtime}, {owner}, hw_replication",
        ):
            old.execute(sql.SQL(statement).format(schema=schema, runtime=runtime, owner=owner))
        old.execute(sql.SQL("comment on schema {} is {}").format(schema, sql.Literal(moved)))


def drop_old(places: Places) -> None:
    """Deletes the old tables. Nothing of the service is in the shared database then."""
    with places.old() as old:
        old.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(places.service)))


def give_up(places: Places, split: Split) -> str:
    """Takes back everything before the cut-over: the service stays in the shared database. Says what could not be.

    The new database is as it was before the split: dropped if the split made it, else empty.
    """
    problem = _clear(places, split)
    copying.end_old(places)
    fence.take_down(places)
    return problem


def _clear(places: Places, split: Split) -> str:
    try:
        copying.end(places)
        name = places.new_dsn().rpartition("/")[2]
        with places.new("postgres") as server:
            for prefix in (LANDING, DISPATCH):
                server.execute(
                    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
                    [f"{prefix}_{places.service}"],
                )
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            if not split.made_database:
                server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            for role in split.made_roles:
                server.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
    except psycopg.OperationalError as error:
        return f"{split.place} gives no answer, and keeps what was copied to it: {str(error).strip()}"
    return ""

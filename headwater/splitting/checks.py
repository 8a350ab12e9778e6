"""What must be true before a service moves. Nothing is changed here, in neither cluster."""

from __future__ import annotations

import psycopg
from psycopg import sql

from headwater.splitting.errors import SplitError
from headwater.splitting.places import SHARED, Connection, Places, tables

OLDEST = 160000

SLOTS_OLD = 3
"""The copy's own slot, and those of two tables at a time while they are copied."""

SLOTS_NEW = 2
"""Landing's and dispatch's."""

WORKERS_NEW = 3
"""Of logical replication: one that applies, two that copy tables."""


def check(places: Places) -> list[str]:
    """Sentences on what was found to be well. Raises SplitError for the first thing that is not."""
    with places.old() as old:
        said = [_source(old, places)]
        try:
            new = places.new("postgres")
        except psycopg.OperationalError as error:
            raise SplitError(f"the new cluster cannot be reached: {str(error).strip()}. Nothing was changed.") from None
        with new:
            said.append(_target(new, old, places))
            said.append(_reaches(new, places))
    return said


def _source(old: Connection, places: Places) -> str:
    service = places.service
    if not tables(old, service):
        raise SplitError(f"the shared database has no schema {service}. Run `headwater up` first.")
    _room(old, "the shared cluster", SLOTS_OLD)
    prepared = old.execute(
        "select gid from pg_prepared_xacts where database = current_database() and owner = any(%s::name[])",
        [list(places.roles)],
    ).fetchone()
    if prepared is not None:
        raise SplitError(f"transaction {prepared[0]!r} of {service} is prepared and open; end it first.")
    return f"{service} has {len(tables(old, service))} tables in {SHARED}, and the cluster has room for the copy."


def check_landing(warehouse: Connection, service: str) -> None:
    """The service's mirrors have refused nothing, and landing knows no other source of its name."""
    parked = warehouse.execute("select count(*) from log.parked where schema_name = %s", [service]).fetchone()
    if parked is not None and parked[0]:
        raise SplitError(
            f"{parked[0]} changes of {service} are parked; `headwater parked replay` first. Nothing was changed."
        )
    if warehouse.execute("select 1 from log.position where source = %s", [service]).fetchone() is not None:
        raise SplitError(
            f"landing has a position of a source {service} already, from a database of its own that it had before. "
            "Nothing was changed."
        )


def _target(new: Connection, old: Connection, places: Places) -> str:
    version = _setting(new, "server_version_num")
    if int(version) < OLDEST:
        raise SplitError(f"the new cluster is PostgreSQL {_setting(new, 'server_version')}; 16 or newer is needed.")
    if _setting(new, "wal_level") != "logical":
        raise SplitError(
            f"the new cluster has wal_level {_setting(new, 'wal_level')}, so that nothing could be streamed from it. "
            "`alter system set wal_level = logical` there, restart it, and try again. Nothing was changed."
        )
    if new.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() != (True,):
        raise SplitError("the login of --to is no superuser of the new cluster, which makes roles and subscriptions.")
    _room(new, "the new cluster", SLOTS_NEW)
    if int(_setting(new, "max_logical_replication_workers")) < WORKERS_NEW:
        raise SplitError(f"the new cluster needs max_logical_replication_workers of {WORKERS_NEW} or more.")
    wanted = _wanted(places)
    same = _system(new) == _system(old)
    if same and wanted == SHARED:
        raise SplitError("--to is the shared database itself.")
    if not same:
        _nobody_else(new, places)
    exists = new.execute("select 1 from pg_database where datname = %s", [wanted]).fetchone() is not None
    if exists:
        _empty(places, wanted)
    where = "another database of the same cluster" if same else f"PostgreSQL {_setting(new, 'server_version')}"
    return f"{_host(places)}/{wanted} is {where}, {'empty' if exists else 'to be made'}."


def _nobody_else(new: Connection, places: Places) -> None:
    """Roles are a cluster's: giving them this installation's passwords would lock another installation out."""
    ours = any(
        other != places.service and places.moved.service_url(other).split("@")[1].split("/")[0] == _host(places)
        for other in places.config.placements
    )
    wanted = places.roles if ours else (*places.roles, "hw_replication", "hw_dispatch")
    taken = new.execute("select rolname from pg_roles where rolname = any(%s::name[])", [list(wanted)]).fetchone()
    if taken is not None:
        raise SplitError(
            f"the new cluster has a role {taken[0]} already: it seems to belong to another installation. "
            "Nothing was changed."
        )


def _empty(places: Places, wanted: str) -> None:
    with places.new() as database:
        found = database.execute(
            "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_toast%'"
            " order by 1 limit 1"
        ).fetchone()
        schema = database.execute("select 1 from pg_namespace where nspname = %s", [places.service]).fetchone()
    if found is not None or schema is not None:
        holds = found[0] if found is not None else f"a schema {places.service}"
        raise SplitError(f"database {wanted} is not empty: it holds {holds}. Name another one. Nothing was changed.")


def _reaches(new: Connection, places: Places) -> str:
    """The new cluster itself must log in to the old one. A subscription that is rolled back tries it."""
    login = places.old_dsn("hw_replication")
    statement = sql.SQL(
        "create subscription hw_split_check connection {} publication hw_split_none"
        " with (slot_name = none, create_slot = false, enabled = false, copy_data = false)"
    ).format(sql.Literal(login))
    try:
        with new.transaction(force_rollback=True):
            new.execute("set local client_min_messages = error")
            new.execute(statement)
    except psycopg.Error as error:
        server = places.config.oltp
        raise SplitError(
            f"the new cluster does not reach the shared one at {server.host}:{server.port}, whose rows it is to copy: "
            f"{str(error).strip().splitlines()[0]}. Nothing was changed."
        ) from None
    return "It reaches the shared cluster."


def _room(connection: Connection, name: str, wanted: int) -> None:
    row = connection.execute(
        "select current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots),"
        " current_setting('max_wal_senders')::int - (select count(*) from pg_stat_replication)"
    ).fetchone()
    assert row is not None
    for setting, free in zip(("max_replication_slots", "max_wal_senders"), row, strict=True):
        if free < wanted:
            raise SplitError(
                f"{name} has {free} of {setting} left and {wanted} are needed: raise it and restart that cluster. "
                "Nothing was changed."
            )


def _setting(connection: Connection, name: str) -> str:
    row = connection.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def _system(connection: Connection) -> str:
    row = connection.execute("select system_identifier::text from pg_control_system()").fetchone()
    assert row is not None
    return str(row[0])


def _wanted(places: Places) -> str:
    return places.new_dsn().rpartition("/")[2]


def _host(places: Places) -> str:
    return places.new_dsn().split("@")[1].split("/")[0]

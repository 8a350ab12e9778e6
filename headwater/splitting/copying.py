"""The copy: PostgreSQL's own logical replication from the shared database into the new one, while writes go on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from psycopg import sql

from cdc.slots import create_slot, drop_slot
from headwater.splitting.errors import SplitError
from headwater.splitting.places import Connection, Places, listed, tables

ERRORS: Final = 3
"""Failures of the subscription after which the copy counts as stuck; PostgreSQL itself tries again for ever."""

QUIET: Final = "set session_replication_role = replica"
"""Event triggers keep still: the stream has nothing to learn of the copy's own publication. Truncation is allowed."""


def begin(places: Places, secret: str) -> None:
    """Role, publication and slot in the shared database; the subscription in the new one. Goes on where it stopped."""
    name = sql.Identifier(places.name)
    with places.old() as old:
        moving = tables(old, places.service)
        old.execute(QUIET)
        if not old.execute("select 1 from pg_roles where rolname = %s", [places.name]).fetchone():
            old.execute(sql.SQL("create role {}").format(name))
        old.execute(sql.SQL("alter role {} login replication password {}").format(name, sql.Literal(secret)))
        schema = sql.Identifier(places.service)
        for grant in (
            "grant connect on database headwater to {0}",
            "grant usage on schema {1} to {0}",
            "grant select on all tables in schema {1} to {0}",
        ):
            old.execute(sql.SQL(grant).format(name, schema))
        if not old.execute("select 1 from pg_publication where pubname = %s", [places.name]).fetchone():
            old.execute(sql.SQL("create publication {} for table {}").format(name, listed(places.service, moving)))
    create_slot(places.old_dsn(), places.name)
    with places.new() as new:
        if subscription(new, places) is not None:
            return
        new.execute(QUIET)
        with new.transaction():
            # What migrations wrote comes from the old database, too.
            new.execute(sql.SQL("truncate {}").format(listed(places.service, moving)))
            new.execute(
                sql.SQL(
                    "create subscription {0} connection {1} publication {0}"
                    " with (create_slot = false, slot_name = {2}, synchronous_commit = 'on', origin = 'any')"
                ).format(name, sql.Literal(places.copy_dsn(secret)), sql.Literal(places.name))
            )


def subscription(new: Connection, places: Places) -> bool | None:
    """Whether the subscription is enabled; None if there is none."""
    row = new.execute(
        "select subenabled from pg_subscription"
        " where subname = %s and subdbid = (select oid from pg_database where datname = current_database())",
        [places.name],
    ).fetchone()
    return None if row is None else bool(row[0])


def await_copy(places: Places) -> None:
    """Until every table is copied and follows the old one's changes. Raises SplitError if the copy is stuck."""
    with places.new() as new:
        switch(new, places, on=True)
        # Errors of an earlier attempt, whose cause may be mended, do not count.
        before = _errors(new, places)
        while behind := _behind(new, places):
            if _errors(new, places) >= before + ERRORS:
                raise SplitError(
                    f"the copy of {', '.join(behind)} fails again and again; the new cluster's log says why. Mend it "
                    "and run the split again, or give it up with --give-up."
                )
            time.sleep(0.1)
        for table in tables(new, places.service):
            new.execute(sql.SQL("analyze {}").format(sql.Identifier(places.service, table)))


def switch(new: Connection, places: Places, *, on: bool) -> None:
    """Starts or stops the subscription; when it returns after stopping, its worker has ended."""
    name = sql.Identifier(places.name)
    new.execute(sql.SQL("alter subscription {} {}").format(name, sql.SQL("enable" if on else "disable")))
    while (
        not on
        and new.execute(
            "select 1 from pg_stat_subscription where subname = %s and pid is not null", [places.name]
        ).fetchone()
    ):
        time.sleep(0.01)


def await_applied(old: Connection, places: Places, lsn: str, patience: float) -> None:
    """Until the new database holds, durably, all that the old one committed before ``lsn``."""
    deadline = time.monotonic() + patience
    while True:
        row = old.execute(
            "select confirmed_flush_lsn >= %s::pg_lsn, confirmed_flush_lsn::text from pg_replication_slots"
            " where slot_name = %s",
            [lsn, places.name],
        ).fetchone()
        if row is None:
            raise SplitError(f"the copy's slot {places.name} is gone; give the split up with --give-up, begin again.")
        if row[0]:
            return
        if time.monotonic() > deadline:
            raise SplitError(
                f"the new database did not catch up in {patience:.0f} s: it is at {row[1]}, not yet at {lsn}. "
                "The service writes to its old database as before; run the split again."
            )
        time.sleep(0.01)


def copy_sequences(old: Connection, new: Connection, schema: str) -> None:
    """Sequences are in no stream: each goes on where it stands."""
    names = old.execute("select sequencename::text from pg_sequences where schemaname = %s", [schema]).fetchall()
    for (name,) in names:
        sequence = sql.Identifier(schema, name)
        value = old.execute(sql.SQL("select last_value, is_called from {}").format(sequence)).fetchone()
        assert value is not None
        new.execute("select setval(%s::regclass, %s, %s)", [sequence.as_string(new), *value])


def differences(old: Connection, new: Connection, schema: str) -> list[str]:
    """The tables that do not hold the same rows, with both counts."""
    with ThreadPoolExecutor(2) as pool:
        there, here = pool.map(lambda connection: _digests(connection, schema), (old, new))
    return [
        f"{table} ({there[table][0]} rows there, {here.get(table, (0,))[0]} here)"
        for table in there
        if here.get(table) != there[table]
    ]


def _digests(connection: Connection, schema: str) -> dict[str, tuple[int, str]]:
    """Table → number of rows and a sum over their hashes, which no order changes."""
    found = {}
    for table in tables(connection, schema):
        columns = connection.execute(
            "select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
            " order by attname",
            [sql.Identifier(schema, table).as_string(connection)],
        ).fetchall()
        row = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
        counted = connection.execute(
            sql.SQL("select count(*), coalesce(sum(hashtextextended(row({})::text, 0)), 0)::text from {}").format(
                row, sql.Identifier(schema, table)
            )
        ).fetchone()
        assert counted is not None
        found[table] = (int(counted[0]), str(counted[1]))
    return found


def end(places: Places) -> None:
    """Takes the copy's own things away, in both clusters; what is gone already is passed over."""
    with places.new() as new:
        if subscription(new, places) is not None:
            name = sql.Identifier(places.name)
            switch(new, places, on=False)
            new.execute(sql.SQL("alter subscription {} set (slot_name = none)").format(name))
            new.execute(sql.SQL("drop subscription {}").format(name))
    end_old(places)


def end_old(places: Places) -> None:
    """The part of it in the shared database."""
    drop_slot(places.old_dsn(), places.name)
    with places.old() as old:
        name = sql.Identifier(places.name)
        old.execute(QUIET)
        old.execute(sql.SQL("drop publication if exists {}").format(name))
        if old.execute("select 1 from pg_roles where rolname = %s", [places.name]).fetchone():
            old.execute(sql.SQL("drop owned by {0}").format(name))
            old.execute(sql.SQL("drop role {0}").format(name))


def _behind(new: Connection, places: Places) -> list[str]:
    rows = new.execute(
        "select c.relname::text from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid"
        " join pg_class c on c.oid = r.srrelid where s.subname = %s and r.srsubstate <> 'r' order by 1",
        [places.name],
    )
    return [str(row[0]) for row in rows]


def _errors(new: Connection, places: Places) -> int:
    row = new.execute(
        "select apply_error_count + sync_error_count from pg_stat_subscription_stats where subname = %s", [places.name]
    ).fetchone()
    return 0 if row is None else int(row[0])

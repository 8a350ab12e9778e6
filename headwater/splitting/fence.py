"""Nobody may write the service's old tables: its roles lose the way into the database, and their sessions end.

Whoever was in the middle of a command gets a 503 with the advice to try again, and the command had no effect or all of
it. A lock on the tables would wait for the slowest command first, and all the others would wait for the lock.
"""

from __future__ import annotations

import time

from psycopg import sql

from headwater.provision.oltp import grant_connect
from headwater.splitting.errors import SplitError
from headwater.splitting.places import SHARED, Connection, Places

_SESSIONS = "select pid from pg_stat_activity where datname = current_database() and usename = any(%s::name[])"
_END = f"select pg_terminate_backend(pid, 1000) from ({_SESSIONS}) session"

LOOKS = 3
"""In a row without a session: one that was let in before the revocation shows itself a moment later."""

PATIENCE = 10.0


def fence(old: Connection, places: Places) -> None:
    """Raises SplitError if a session does not end; the caller then takes the fence down."""
    for role in places.roles:
        revocation = sql.SQL("revoke connect on database {} from {}")
        old.execute(revocation.format(sql.Identifier(SHARED), sql.Identifier(role)))
    deadline = time.monotonic() + PATIENCE
    looks = 0
    while looks < LOOKS:
        ended = old.execute(_END, [list(places.roles)]).fetchall()
        looks = 0 if ended else looks + 1
        if time.monotonic() > deadline:
            raise SplitError(f"sessions of {' and '.join(places.roles)} in {SHARED} do not end.")
        time.sleep(0.01)


def stands(old: Connection, places: Places) -> bool:
    """Whether the fence holds at this moment."""
    return is_shut(old, places.roles) and old.execute(_SESSIONS, [list(places.roles)]).fetchone() is None


def is_shut(database: Connection, roles: tuple[str, str]) -> bool:
    """Whether neither role may enter the database."""
    let_in = database.execute(
        "select 1 from unnest(%s::name[]) role where has_database_privilege(role, current_database(), 'connect')",
        [list(roles)],
    ).fetchone()
    return let_in is None


def take_down(places: Places) -> None:
    """The service writes its old database again."""
    with places.old() as old:
        grant_connect(old, SHARED, [*places.staying, places.service])

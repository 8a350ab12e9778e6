"""Makes the new database ready for the service's rows: ``python -m headwater.splitting.provision SERVICE``.

A process of its own, because Django's aliases must lead to the new database there and nowhere else:
``HEADWATER_DB_<SERVICE>`` says so.
"""

from __future__ import annotations

import os
import subprocess
import sys

from psycopg import sql

from headwater.config import current
from headwater.splitting.errors import SplitError
from headwater.splitting.places import Connection, Places
from headwater.state import PROJECT

_MIGRATIONS = "select app || '.' || name from {}"
_COLUMNS = """
select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid
where n.nspname = %s and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
"""


def provision(places: Places) -> None:
    """Database, roles, schema, tables, grants, publications and event trigger, as the shared database has them.

    Raises SplitError if that fails, or if the two databases do not have the same tables then.
    """
    done = subprocess.run(
        [sys.executable, "-m", "headwater.splitting.provision", places.service],
        env=dict(os.environ) | {f"HEADWATER_DB_{places.service.upper()}": places.new_dsn()},
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SplitError(f"preparing the new database failed.\n{done.stderr.strip()}")
    with places.old() as old, places.new() as new:
        differ = _shape(old, places.service) ^ _shape(new, places.service)
    if differ:
        raise SplitError(
            f"the shared database is not as this version makes it: {', '.join(sorted(differ)[:5])}. "
            "Bring it up to date (`headwater down`, `headwater up`) and run the split again."
        )


def _shape(connection: Connection, schema: str) -> set[str]:
    """The migrations of a schema and the columns of its tables."""
    migrations = sql.SQL(_MIGRATIONS).format(sql.Identifier(schema, "django_migrations"))
    rows = [*connection.execute(migrations), *connection.execute(_COLUMNS, [schema])]
    return {str(row[0]) for row in rows}


if __name__ == "__main__":
    from headwater.provision.oltp import provision_schemas

    provision_schemas(current(), [sys.argv[1]])

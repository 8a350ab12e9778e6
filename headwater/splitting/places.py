"""The two databases of a split: how each is reached, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from cdc.catalogue import SESSION_OPTIONS
from headwater.config import SERVICES, Config, ConfigError, Placement

Connection = psycopg.Connection[Any]

SHARED = "headwater"
"""The shared database, and the source that is its stream."""


@dataclass(frozen=True, slots=True)
class Places:
    """``config`` says where the service is; ``moved`` is the same installation with the service in its new database."""

    service: str
    config: Config
    moved: Config

    @property
    def name(self) -> str:
        """What the copy is called in both clusters: publication, slot, subscription and role."""
        return f"hw_split_{self.service}"

    @property
    def roles(self) -> tuple[str, str]:
        """The service's runtime role and its owner."""
        return f"hw_{self.service}", f"hw_{self.service}_owner"

    @property
    def staying(self) -> list[str]:
        """The services that the shared database keeps."""
        return [s for s in SERVICES if s != self.service and self.config.source_of(s) == SHARED]

    def old_dsn(self, role: str = "postgres") -> str:
        return self.config.url(self.config.oltp, SHARED, role)

    def new_dsn(self, role: str = "postgres") -> str:
        return self.moved.service_url(self.service, role=role)

    def copy_dsn(self, secret: str) -> str:
        """How the new cluster logs in to the old database."""
        server = self.config.oltp
        return f"postgresql://{self.name}:{quote(secret, safe='')}@{server.host}:{server.port}/{SHARED}"

    def old(self) -> Connection:
        """A superuser's autocommit session in the shared database."""
        return _session(self.old_dsn())

    def new(self, database: str | None = None) -> Connection:
        """The same in the new database, or in another one of its cluster."""
        url = self.new_dsn()
        return _session(urlsplit(url)._replace(path=f"/{database}").geturl() if database else url)


def places(config: Config, service: str, url: str) -> Places:
    return Places(service, config, replace(config, placements=config.placements | {service: Placement(url)}))


def normalised(config: Config, url: str, password: str | None) -> str:
    """The ``--to`` of a split as a ``Placement`` has it. Raises ConfigError for no such URL."""
    parts = urlsplit(url)
    try:
        port = parts.port or 5432
    except ValueError:
        port = 0
    name = parts.path.strip("/")
    if (
        parts.scheme not in ("postgresql", "postgres")
        or not parts.hostname
        or not port
        or not name
        or "/" in name
        or parts.query
        or parts.username not in (None, "postgres")
    ):
        raise ConfigError("--to must be postgresql://postgres[:password]@host[:port]/database.")
    for cluster, server in config.oltp_clusters().items():
        if (parts.hostname, port) == (server.host, server.port):
            return f"{cluster}/{name}"
    secret = password if password is not None else parts.password
    login = "postgres" if secret is None else f"postgres:{quote(secret, safe='') if password is not None else secret}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"postgresql://{login}@{host}:{port}/{name}"


def tables(connection: Connection, schema: str) -> list[str]:
    """The tables of a schema whose rows move: all but the migrations', which provisioning writes."""
    rows = connection.execute(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relkind in ('r', 'p') and not c.relispartition"
        " and c.relname <> 'django_migrations' order by 1",
        [schema],
    )
    return [str(row[0]) for row in rows]


def listed(schema: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(schema, name) for name in names)


def _session(dsn: str) -> Connection:
    return psycopg.connect(dsn, autocommit=True, options=SESSION_OPTIONS, connect_timeout=5)

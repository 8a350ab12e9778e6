"""What this installation is: where its databases are, their passwords, which services it hosts.

Kept in ``<home>/config.json`` (mode 0600), written once by ``headwater up``; environment variables override it.
Every other room gets plain values from here (the composition root) and never reads this file itself.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

SERVICES = ("identity", "contacts", "finance", "orders", "inventory")
"""Every write service, in the order of their start (identity first)."""


class ConfigError(Exception):
    """The configuration is absent or broken; the message names the file and the command that mends it."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server: where it listens and its superuser's password (used for provisioning only)."""

    host: str
    port: int
    superuser_password: str = field(repr=False)


@dataclass(frozen=True)
class Config:
    """``passwords`` is keyed by database role. ``service_urls`` names services hosted elsewhere by base URL."""

    home: str
    oltp: Server
    warehouse: Server
    web_port: int
    secret_key: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False, default_factory=dict)
    service_urls: dict[str, str] = field(default_factory=dict)

    def url(self, server: Server, database: str, role: str) -> str:
        """A ``postgresql://`` URL, as psycopg and psycopg2 take it. Raises ConfigError for an unknown role."""
        password = server.superuser_password if role == "postgres" else self.passwords.get(role)
        if password is None:
            raise ConfigError(f"No password for database role {role!r} in {self.home}/config.json; run `headwater up`.")
        return f"postgresql://{role}:{quote(password, safe='')}@{server.host}:{server.port}/{database}"

    def service_url(self, service: str, *, role: str | None = None) -> str:
        """The service's database: ``HEADWATER_DB_<SERVICE>`` where set, else the shared one. Runtime role by default.

        The variable is ``postgresql://host:port/database``; role and password stay this installation's.
        """
        role = role or f"hw_{service}"
        override = os.environ.get(f"HEADWATER_DB_{service.upper()}")
        if not override:
            return self.url(self.oltp, "headwater", role)
        parts = urlsplit(override)
        if not parts.hostname or not parts.path.strip("/"):
            raise ConfigError(
                f"HEADWATER_DB_{service.upper()} must be postgresql://host:port/database, not {override!r}."
            )
        password = parts.password if role == "postgres" and parts.password else None
        server = Server(parts.hostname, parts.port or 5432, password or self.oltp.superuser_password)
        return self.url(server, parts.path.strip("/"), role)

    def stream_url(self, role: str) -> str:
        """The database of deliveries, beside the OLTP data and away from the warehouse."""
        return self.url(self.oltp, "stream", role)

    def warehouse_url(self, role: str = "wh_owner") -> str:
        return self.url(self.warehouse, "warehouse", role)

    def source_databases(self) -> dict[str, list[str]]:
        """Source name → services whose schemas live in that database. The shared database is ``headwater``."""
        sources: dict[str, list[str]] = {}
        for service in SERVICES:
            own = os.environ.get(f"HEADWATER_DB_{service.upper()}")
            sources.setdefault(service if own else "headwater", []).append(service)
        return sources

    def save(self) -> None:
        path = Path(self.home) / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(path)


ROLES = (
    *(f"hw_{service}" for service in SERVICES),
    *(f"hw_{service}_owner" for service in SERVICES),
    "hw_dispatch",
    "hw_replication",
    "wh_owner",
    "wh_api",
)
"""Every database role that logs in with a password of this installation."""


def new_passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(24) for role in ROLES}


def home() -> Path:
    """The state directory: ``HEADWATER_HOME``, else ``.headwater`` in the working directory."""
    return Path(os.environ.get("HEADWATER_HOME", ".headwater")).resolve()


def read(directory: Path) -> Config:
    path = directory / "config.json"
    try:
        raw = json.loads(path.read_text())
        return Config(**raw | {"oltp": Server(**raw["oltp"]), "warehouse": Server(**raw["warehouse"])})
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: nothing was set up here. Run `headwater up`.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Restore it or run `headwater doctor`.") from error


@cache
def current() -> Config:
    """The configuration of this process, read once from ``home()``."""
    return read(home())

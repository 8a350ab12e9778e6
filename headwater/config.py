"""What this installation is: where its databases are, their passwords, which services it hosts.

Kept in ``<home>/config.json`` (mode 0600), written once by ``headwater up``; environment variables override it.
Every other room gets plain values from here (the composition root) and never reads this file itself.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

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
class Placement:
    """Where ``headwater split`` moved a service: ``postgresql://postgres[:password]@host:port/database``, or
    ``cluster/database`` in a cluster of this installation, whose port may change.

    ``streamed``: landing and dispatch read it. Between the service's first write there and the end of what it wrote
    before, they must not.
    """

    url: str = field(repr=False)
    streamed: bool = False


@dataclass(frozen=True)
class Config:
    """``passwords`` is keyed by database role. ``service_urls`` names services hosted elsewhere by base URL.

    ``placements`` is keyed by service: those that were moved out of the shared database.

    ``kafka_ports`` is keyed by process (``headwater.kafka.profile.PORTS``), and empty in the embedded profile and where
    others run Kafka: ``kafka_brokers`` are theirs then.
    ``clusters`` are those that this installation runs beside ``oltp`` and ``warehouse``, by name. ``databases`` says
    where a service's own database is, as ``cluster/database``. ``service_ports`` names services that are processes of
    their own; a gateway then listens on ``gateway_port``. They are empty where one process hosts every service.
    """

    home: str
    oltp: Server
    warehouse: Server
    web_port: int
    secret_key: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False, default_factory=dict)
    service_urls: dict[str, str] = field(default_factory=dict)
    dagster_port: int = 0
    kafka_ports: dict[str, int] = field(default_factory=dict)
    kafka_brokers: str = ""
    placements: dict[str, Placement] = field(default_factory=dict)
    clusters: dict[str, Server] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    service_ports: dict[str, int] = field(default_factory=dict)
    gateway_port: int = 0

    @property
    def public_port(self) -> int:
        """Where people and programs reach everything: the gateway's port, or the one process's that hosts it all."""
        return self.gateway_port or self.web_port

    def service_addresses(self) -> dict[str, str]:
        """Service → base URL, of those that other processes host: this installation's own, or elsewhere."""
        own = {service: f"http://127.0.0.1:{port}" for service, port in self.service_ports.items()}
        return own | self.service_urls

    def url(self, server: Server, database: str, role: str) -> str:
        """A ``postgresql://`` URL, as psycopg and psycopg2 take it. Raises ConfigError for an unknown role."""
        password = server.superuser_password if role == "postgres" else self.passwords.get(role)
        if password is None:
            raise ConfigError(f"No password for database role {role!r} in {self.home}/config.json; run `headwater up`.")
        return f"postgresql://{role}:{quote(password, safe='')}@{server.host}:{server.port}/{database}"

    def service_url(self, service: str, *, role: str | None = None) -> str:
        """The service's database: ``HEADWATER_DB_<SERVICE>`` where set, else where it was moved to, else its own, else
        the shared one.

        Runtime role by default. The variable is ``postgresql://host:port/database``; role and password stay this
        installation's.
        """
        role = role or f"hw_{service}"
        own = self._own_database(service) or "oltp/headwater"
        cluster, _, database = own.partition("/")
        if cluster in self.oltp_clusters():
            return self.url(self.oltp_clusters()[cluster], database, role)
        parts = urlsplit(own)
        if not parts.hostname or not parts.path.strip("/"):
            raise ConfigError(f"HEADWATER_DB_{service.upper()} must be postgresql://host:port/database, not {own!r}.")
        password = unquote(parts.password) if role == "postgres" and parts.password else None
        server = Server(parts.hostname, parts.port or 5432, password or self.oltp.superuser_password)
        return self.url(server, parts.path.strip("/"), role)

    def _own_database(self, service: str) -> str | None:
        """A URL, or ``cluster/database``; None for a service that lives in the shared one."""
        moved = self.placements.get(service)
        own = moved.url if moved is not None else self.databases.get(service)
        return os.environ.get(f"HEADWATER_DB_{service.upper()}") or own

    def oltp_clusters(self) -> dict[str, Server]:
        """Every cluster that holds services' data, by name; ``oltp`` first."""
        return {"oltp": self.oltp, **self.clusters}

    def stream_url(self, role: str) -> str:
        """The database of deliveries, beside the OLTP data and away from the warehouse."""
        return self.url(self.oltp, "stream", role)

    def warehouse_url(self, role: str = "wh_owner") -> str:
        return self.url(self.warehouse, "warehouse", role)

    def dagster_url(self) -> str:
        """The database of Dagster's runs, events and schedules, beside the warehouse's data."""
        return self.url(self.warehouse, "dagster", "wh_dagster")

    def source_databases(self) -> dict[str, list[str]]:
        """Source name → services whose schemas live in that database, of every database that is streamed."""
        sources: dict[str, list[str]] = {}
        for service in SERVICES:
            moved = self.placements.get(service)
            if moved is None or moved.streamed or os.environ.get(f"HEADWATER_DB_{service.upper()}"):
                sources.setdefault(self.source_of(service), []).append(service)
        return sources

    def source_of(self, service: str) -> str:
        """The name of the WAL that the service writes. The shared database's is ``headwater``."""
        return service if self._own_database(service) else "headwater"

    @property
    def profile(self) -> str:
        """``kafka`` or ``embedded``; chosen at the first start, changed by a move alone (``headwater.migration``)."""
        return "kafka" if self.kafka_ports or self.kafka_brokers else "embedded"

    def polls_schema_changes(self) -> bool:
        """Whether ``HEADWATER_SCHEMA_CHANGES`` asks for polling instead of the event trigger. Raises ConfigError."""
        wanted = os.environ.get("HEADWATER_SCHEMA_CHANGES", "auto")
        if wanted not in ("auto", "polling"):
            raise ConfigError(f"HEADWATER_SCHEMA_CHANGES must be 'auto' or 'polling', not {wanted!r}.")
        return wanted == "polling"

    def save(self) -> None:
        path = Path(self.home) / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        with partial.open("w") as file:
            json.dump(asdict(self), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


PROFILES = ("embedded", "kafka")


def wanted_profile() -> str | None:
    """``HEADWATER_PROFILE``; None where the installation's own holds. Raises ConfigError for one that there is not."""
    wanted = os.environ.get("HEADWATER_PROFILE")
    if wanted and wanted not in PROFILES:
        raise ConfigError(f"HEADWATER_PROFILE must be one of {', '.join(PROFILES)}, not {wanted!r}.")
    return wanted or None


def check_profile(found: Config) -> None:
    """Raises ConfigError if ``HEADWATER_PROFILE`` asks for another profile than the installation has."""
    wanted = wanted_profile()
    if wanted not in (None, found.profile):
        raise ConfigError(
            f"the installation in {found.home} runs in the {found.profile} profile, and a start does not change that. "
            f"Leave --profile out; `headwater migrate-to-{wanted}` moves it while it runs."
        )


ROLES = (
    *(f"hw_{service}" for service in SERVICES),
    *(f"hw_{service}_owner" for service in SERVICES),
    "hw_dispatch",
    "hw_replication",
    "wh_owner",
    "wh_api",
    "wh_lake",
    "wh_dagster",
)
"""Every database role that logs in with a password of this installation."""


def new_passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(24) for role in ROLES}


def home() -> Path:
    """The state directory: ``HEADWATER_HOME``, else ``.headwater`` in the working directory."""
    return Path(os.environ.get("HEADWATER_HOME", ".headwater")).resolve()


def parse(raw: dict[str, Any]) -> Config:
    """The content of a ``config.json``. Raises KeyError or TypeError for one that is none."""
    clusters = {name: Server(**server) for name, server in raw.get("clusters", {}).items()}
    servers = {"oltp": Server(**raw["oltp"]), "warehouse": Server(**raw["warehouse"]), "clusters": clusters}
    placements = {service: Placement(**one) for service, one in raw.get("placements", {}).items()}
    return Config(**raw | servers | {"placements": placements})


ELSEWHERE = ("HEADWATER_OLTP_URL", "HEADWATER_WAREHOUSE_URL")


def elsewhere() -> tuple[Server, Server] | None:
    """The clusters that somebody else runs, OLTP and warehouse; None where this installation runs its own.

    ``HEADWATER_OLTP_URL`` and ``HEADWATER_WAREHOUSE_URL`` name them: ``postgresql://postgres[:password]@host[:port]``,
    the password of the superuser ``postgres`` in the URL or in the file that ``…_PASSWORD_FILE`` names. Raises
    ConfigError for one without the other, or for what is no such URL.
    """
    given = [os.environ.get(name, "") for name in ELSEWHERE]
    if not any(given):
        return None
    if not all(given):
        raise ConfigError(f"Set both of {' and '.join(ELSEWHERE)}, or neither.")
    oltp, warehouse = (_server(name, url) for name, url in zip(ELSEWHERE, given, strict=True))
    return oltp, warehouse


def _server(name: str, url: str) -> Server:
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or parts.username not in (None, "postgres"):
        raise ConfigError(f"{name} must be postgresql://postgres[:password]@host[:port] of a superuser.")
    password = unquote(parts.password or "")
    if file := os.environ.get(name.replace("_URL", "_PASSWORD_FILE")):
        try:
            password = Path(file).read_text().strip()
        except OSError as error:
            raise ConfigError(f"{name.replace('_URL', '_PASSWORD_FILE')}: {error}.") from None
    return Server(parts.hostname, parts.port or 5432, password)


def read(directory: Path) -> Config:
    path = directory / "config.json"
    try:
        found = parse(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: nothing was set up here. Run `headwater up`.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Restore it or run `headwater doctor`.") from error
    found = replace(found, service_urls=found.service_urls | addresses(), kafka_brokers=_brokers_of(found))
    servers = elsewhere()
    return found if servers is None else replace(found, oltp=servers[0], warehouse=servers[1])


BROKERS = "HEADWATER_KAFKA_BROKERS"


def brokers() -> str:
    """Kafka that others run, ``host:port[,host:port …]``; empty where there is none. Raises ConfigError."""
    given = os.environ.get(BROKERS, "")
    if given and not re.fullmatch(r"[^\s,/@]+:\d{1,5}(,[^\s,/@]+:\d{1,5})*", given):
        raise ConfigError(f"{BROKERS} must be host:port[,host:port …], not {given!r}.")
    return given


def _brokers_of(found: Config) -> str:
    """Addresses may change; whether a slot or Kafka carries the stream may not, or two would read one slot."""
    given = brokers()
    if given and not found.kafka_brokers:
        raise ConfigError(
            f"the installation in {found.home} began without Kafka that others run, and {BROKERS} names some. Leave "
            "the variable out, or begin another installation with HEADWATER_HOME."
        )
    if found.kafka_brokers and not given:
        raise ConfigError(f"the installation in {found.home} streams over Kafka that others run: set {BROKERS}.")
    return given


def addresses() -> dict[str, str]:
    """Where services that other processes host are reached: ``HEADWATER_URL_<SERVICE>``, ``http[s]://host[:port]``.

    Raises ConfigError for what is no such URL.
    """
    found = {}
    for service in SERVICES:
        given = os.environ.get(f"HEADWATER_URL_{service.upper()}", "").rstrip("/")
        parts = urlsplit(given)
        if given and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.username):
            raise ConfigError(f"HEADWATER_URL_{service.upper()} must be http[s]://host[:port], not {given!r}.")
        if given:
            found[service] = given
    return found


def current() -> Config:
    """The configuration in ``home()``, read again when it was replaced."""
    return at(home())


def at(directory: Path) -> Config:
    """The configuration in ``directory``, read again when it was replaced. Raises ConfigError."""
    try:
        state = (directory / "config.json").stat()
    except FileNotFoundError:
        return read(directory)  # says so
    return _unchanged(directory, state.st_ino, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _unchanged(directory: Path, _inode: int, _modified: int) -> Config:
    return read(directory)

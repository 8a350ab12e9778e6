"""Which process answers for which service."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from headwater.config import SERVICES, Config, ConfigError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Registry:
    """``web`` answers for the application, the read side and every service that is not in ``services``."""

    web: Address
    services: dict[str, Address]

    def of(self, service: str) -> Address:
        return self.services.get(service, self.web)

    def checkers(self) -> dict[Address, bool]:
        """Each process once, the web process first, and whether it hears of revocations: with every service elsewhere
        the web process knows signatures alone."""
        return {self.web: len(self.services) < len(SERVICES)} | dict.fromkeys(self.services.values(), True)


def registry(config: Config, web: str | None = None) -> Registry:
    """``web``: the web process's URL, if it runs elsewhere. Raises ConfigError for what is no http URL."""
    known = config.service_addresses()
    found = {service: _address(known[service]) for service in SERVICES if service in known}
    return Registry(_address(web) if web else Address("127.0.0.1", config.web_port), found)


def _address(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(f"The gateway reaches processes at http://host[:port], which {url!r} is not.")
    return Address(parts.hostname, parts.port or 80)

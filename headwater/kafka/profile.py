"""The Kafka profile of one installation: its broker and Connect workers under ``<home>/kafka``, on remembered ports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from headwater.config import Config, ConfigError
from headwater.kafka import elsewhere
from headwater.kafka.broker import Broker
from headwater.kafka.connect import Worker, secret
from headwater.kafka.distribution import distribution
from headwater.state import Home, write_text

WORKERS = ("connect-1", "connect-2")
PORTS = ("broker", "controller", *WORKERS)
"""What ``Config.kafka_ports`` names; empty in the embedded profile."""

SECRETS = ("hw_replication",)
"""Database roles whose passwords the Connect workers read from files."""


def bootstrap(config: Config) -> str:
    return config.kafka_brokers or f"127.0.0.1:{config.kafka_ports['broker']}"


def security(config: Config) -> dict[str, Any]:
    """librdkafka's settings for Kafka that others run; our own broker, on loopback, asks for nothing."""
    return elsewhere.security() if config.kafka_brokers else {}


def connect_urls(config: Config) -> list[str]:
    if config.kafka_brokers:
        return elsewhere.connect_urls()
    return [f"http://127.0.0.1:{config.kafka_ports[name]}" for name in WORKERS]


def broker(home: Home, config: Config) -> Broker:
    return Broker(
        place(home) / "broker", config.kafka_ports["broker"], config.kafka_ports["controller"], distribution()
    )


def workers(home: Home, config: Config) -> list[Worker]:
    jars = distribution()
    return [
        Worker(name, place(home) / name, config.kafka_ports[name], bootstrap(config), secrets(home), jars)
        for name in WORKERS
    ]


def landing_workers(config: Config) -> list[str]:
    """The processes that land, by name: one, or in the Kafka profile as many as ``HEADWATER_LANDING_WORKERS`` says (2).

    A name is the process's membership of the consumer groups too, and the same at every start. Raises ConfigError.
    """
    if config.profile != "kafka":
        return ["landing"]
    given = os.environ.get("HEADWATER_LANDING_WORKERS") or "2"
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 64:
        raise ConfigError(f"HEADWATER_LANDING_WORKERS must be a number from 1 to 64, not {given!r}.")
    return ["landing", *(f"landing-{number}" for number in range(2, int(given) + 1))]


def place(home: Home) -> Path:
    return home.root / "kafka"


def secrets(home: Home) -> Path:
    return place(home) / "secrets"


def secret_of(home: Home, role: str) -> str:
    """What a connector's definition says instead of the role's password."""
    return secret(secrets(home), role)


def write_secrets(home: Home, config: Config) -> None:
    """Passwords as files of mode 0600, where the workers read them."""
    secrets(home).mkdir(mode=0o700, parents=True, exist_ok=True)
    for role in SECRETS:
        write_text(secrets(home) / role, config.passwords[role])

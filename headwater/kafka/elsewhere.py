"""Kafka and Connect that others run: where they are, how we log in, how many copies topics get; by the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from headwater.config import ConfigError

CONNECT = "HEADWATER_KAFKA_CONNECT"
USER, PASSWORD, MECHANISM = "HEADWATER_KAFKA_USER", "HEADWATER_KAFKA_PASSWORD_FILE", "HEADWATER_KAFKA_MECHANISM"
TLS, REPLICATION = "HEADWATER_KAFKA_TLS", "HEADWATER_KAFKA_REPLICATION"

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


def connect_urls() -> list[str]:
    """The REST interfaces of the Connect workers. Raises ConfigError."""
    given = os.environ.get(CONNECT, "")
    if not re.fullmatch(r"https?://[^\s,/@]+(,https?://[^\s,/@]+)*", given):
        raise ConfigError(
            f"{CONNECT} must be http://host:port[,http://host:port …] of the Connect workers, not {given!r}."
        )
    return given.split(",")


def replication() -> int:
    """Copies of each partition of topics that we make. Raises ConfigError."""
    given = os.environ.get(REPLICATION, "1")
    if not given.isdigit() or not 1 <= int(given) <= 9:
        raise ConfigError(
            f"{REPLICATION} must be a number from 1 to 9, and no larger than there are brokers, not {given!r}."
        )
    return int(given)


def security() -> dict[str, Any]:
    """librdkafka's settings for a login and for TLS; empty where neither is asked for. Raises ConfigError."""
    tls, user = os.environ.get(TLS, ""), os.environ.get(USER, "")
    settings = _tls(tls)
    if user:
        settings |= {"sasl.mechanism": _mechanism(), "sasl.username": user, "sasl.password": _password()}
    if tls or user:
        settings["security.protocol"] = f"{'SASL_' if user else ''}{'SSL' if tls else 'PLAINTEXT'}"
    return settings


def _tls(asked: str) -> dict[str, Any]:
    if asked in ("", "on"):
        return {}
    if not Path(asked).is_file():
        raise ConfigError(f"{TLS} must be `on`, or the file of the authority that signs the brokers, not {asked!r}.")
    return {"ssl.ca.location": asked}


def _mechanism() -> str:
    given = os.environ.get(MECHANISM, MECHANISMS[0])
    if given not in MECHANISMS:
        raise ConfigError(f"{MECHANISM} must be one of {', '.join(MECHANISMS)}, not {given!r}.")
    return given


def _password() -> str:
    file = os.environ.get(PASSWORD, "")
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{USER} is set, and {PASSWORD} names no file that can be read: {error}.") from None

"""Real databases for the write side: migrated once a run into a template, copied for each test module."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from django.conf import settings
from django.db import connections

import tests.bootstrap  # noqa: F401
from headwater.config import Config, Server
from headwater.embedded.postgres import Cluster
from headwater.provision import oltp as provisioning
from tests.pipelines.dispatch.stream_database import StreamDatabase, create_stream_database
from tests.transactional.jobs_thread import JobsThread
from tests.world import World
from transactional.identity import tokens

SUBSCRIBERS = ("shelf", "contacts", "finance", "inventory")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def installation(oltp: Cluster) -> Config:
    """Roles, and the template database ``headwater`` with every service's tables and a published signing key."""
    server = Server("127.0.0.1", oltp.port, oltp.password)
    config = replace(settings.CONFIG, oltp=server)
    for alias in _aliases():
        connections.settings[alias] |= {"HOST": server.host, "PORT": server.port}
    provisioning.provision(config, settings.HEADWATER_SERVICES)
    connections.close_all()
    return config


@pytest.fixture(scope="module")
def world(installation: Config, oltp: Cluster) -> Iterator[World]:
    """A fresh copy of every service's tables for this module; what tests commit is gone after it."""
    name = f"world_{next(_numbers)}"
    with oltp.connect() as server:
        server.execute(f"create database {name} template headwater".encode())
        provisioning.grant_connect(server, name, settings.HEADWATER_SERVICES)
    for alias in _aliases():
        connections.settings[alias]["NAME"] = name
    tokens.publish_keys(settings.HEADWATER_JWKS)
    yield World(oltp, name, installation)
    connections.close_all()
    for alias in _aliases():
        connections.settings[alias]["NAME"] = "headwater"
    with oltp.connect() as server:
        server.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def stream(oltp: Cluster, world: World) -> Iterator[StreamDatabase]:
    database = create_stream_database(oltp, f"stream_{secrets.token_hex(4)}", SUBSCRIBERS)
    yield database
    with oltp.connect() as server:
        server.execute(f"drop database {database.name} with (force)".encode())


@pytest.fixture
def start(stream: StreamDatabase) -> Iterator[Callable[..., JobsThread]]:
    """Starts workers for the services named; they end with the test."""
    workers: list[JobsThread] = []

    def begin(*services: str) -> JobsThread:
        workers.append(JobsThread({service: stream.dsn(f"hw_{service}") for service in services}))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.stop()


def _aliases() -> list[str]:
    return [alias for service in settings.HEADWATER_SERVICES for alias in (service, f"{service}_owner")]

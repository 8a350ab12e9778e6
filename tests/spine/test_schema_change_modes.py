"""Provisioning gives the stream its schema-change trigger, does without if asked, and goes on where it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from cdc import ddl
from headwater.config import Config, ConfigError, Server
from headwater.embedded.postgres import Cluster
from headwater.provision import oltp as provisioning

SERVER = Server("127.0.0.1", 1, "unused")
CONFIG = Config("/nowhere", SERVER, SERVER, 0, "unused")


@pytest.mark.parametrize(("value", "polls"), [(None, False), ("auto", False), ("polling", True)])
def test_polling_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch, value: str | None, polls: bool) -> None:
    monkeypatch.delenv("HEADWATER_SCHEMA_CHANGES", raising=False)
    if value is not None:
        monkeypatch.setenv("HEADWATER_SCHEMA_CHANGES", value)
    assert CONFIG.polls_schema_changes() is polls


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_SCHEMA_CHANGES", "poll")
    with pytest.raises(ConfigError, match="must be 'auto' or 'polling', not 'poll'"):
        CONFIG.polls_schema_changes()


@pytest.fixture
def tenants(oltp: Cluster) -> Iterator[str]:
    """A database with a role that owns nothing but it, as on a managed server."""
    with oltp.connect() as server:
        server.execute("create role managed_tenant")
        server.execute("create database managed owner managed_tenant")
    yield oltp.dsn("managed")
    with oltp.connect() as server:
        server.execute("drop database managed with (force)")
        server.execute("drop role managed_tenant")


def test_a_server_that_forbids_the_trigger_is_provisioned_all_the_same(
    tenants: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADWATER_SCHEMA_CHANGES", raising=False)
    with psycopg.connect(tenants, autocommit=True) as database:
        database.execute("set role managed_tenant")
        provisioning.schema_changes(database, CONFIG)
        assert not ddl.is_installed(database)
        database.execute("reset role")
        provisioning.schema_changes(database, CONFIG)
        assert ddl.is_installed(database)
        monkeypatch.setenv("HEADWATER_SCHEMA_CHANGES", "polling")
        provisioning.schema_changes(database, CONFIG)
        assert not ddl.is_installed(database)

"""Provisioning of the stream database and its slots: repeatable, and never hiding that a slot was lost."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

import tests.bootstrap  # noqa: F401
from cdc.positions import Epoch, Position
from cdc.slots import drop_slot, slot_state
from headwater.config import Config
from headwater.provision.stream import DispatchSource, dispatch_sources, provision
from pipelines.dispatch.store import store_position
from tests.transactional.conftest import installation as installation


@pytest.fixture
def source(installation: Config) -> Iterator[DispatchSource]:
    (found,) = dispatch_sources(installation)
    yield found
    drop_slot(found.dsn, found.slot)
    with psycopg.connect(installation.stream_url("postgres"), autocommit=True) as superuser:
        superuser.execute("drop schema stream cascade")


def test_it_may_run_again_and_again(installation: Config, source: DispatchSource) -> None:
    for _ in range(2):
        provision(installation, {"finance": ["ACCOUNT_UPDATED", "ACCOUNT_CREATED"], "orders": []})
        with psycopg.connect(installation.stream_url("hw_dispatch")) as owner:
            rows = owner.execute("select consumer, event_type from stream.subscription order by 1, 2").fetchall()
        assert rows == [("finance", "ACCOUNT_CREATED"), ("finance", "ACCOUNT_UPDATED")]
        state = slot_state(source.dsn, "hw_dispatch")
        assert state is not None
        assert state.wal_status == "reserved"
    with psycopg.connect(installation.stream_url("hw_finance")) as finance:
        assert finance.execute("select * from stream.claim('finance')").fetchall() == []


def test_a_lost_slot_is_not_made_anew(installation: Config, source: DispatchSource) -> None:
    """A new slot would begin after what was missed; only the repair, which reads the outboxes, may make it."""
    provision(installation, {})
    drop_slot(source.dsn, source.slot)
    with psycopg.connect(installation.stream_url("hw_dispatch"), autocommit=True) as owner:
        store_position(owner, Position(source.name, Epoch("7", 1, source.slot), 100))
    provision(installation, {})
    assert slot_state(source.dsn, source.slot) is None


def test_a_service_with_a_database_of_its_own_has_a_slot_of_its_own(
    installation: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_DB_FINANCE", "postgresql://db.example:5433/ledger")
    apart = {source.name: source for source in dispatch_sources(installation)}
    assert {name: source.slot for name, source in apart.items()} == {
        "headwater": "hw_dispatch",
        "finance": "hw_dispatch_finance",
    }
    assert "hw_replication" in apart["finance"].dsn
    assert "@db.example:5433/ledger" in apart["finance"].dsn

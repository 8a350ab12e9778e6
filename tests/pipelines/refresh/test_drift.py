"""Drift: a hot mart against what a full rebuild would hold."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from headwater.embedded.postgres import Cluster
from pipelines.refresh import drift
from pipelines.refresh.drift import Drift, TooFarBehind, compare
from pipelines.refresh.program import Program, load
from tests.marts import ACME, GLOBEX, Marts, copy_of_marts, hot_manifest, order
from tests.mirror import Stream, put


@pytest.fixture(scope="module")
def program() -> Program:
    return load(hot_manifest())


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as made:
        yield made


def drifts(marts: Marts, program: Program, *models: str) -> dict[str, Drift]:
    chosen = models or tuple(model.name for model in program.models)
    return {found.model: found for found in compare(marts.dsn(), program, chosen)}


def test_marts_that_were_just_built_have_none(marts: Marts, program: Program) -> None:
    found = drifts(marts, program)
    assert set(found) == {model.name for model in program.models}
    assert all(one.is_equal and one.left_out == 0 for one in found.values())
    assert found["dim_account"].rows == 3


def test_a_changed_a_missing_and_a_surplus_row_are_named(marts: Marts, program: Program) -> None:
    with marts.superuser() as server:
        server.execute("update marts.dim_account set account_name = 'Spoilt' where account_uuid = %s", [ACME])
        server.execute("delete from marts.dim_account where account_uuid = %s", [GLOBEX])
        server.execute(
            'insert into marts.dim_account select (jsonb_populate_record(a, \'{"account_uuid":'
            ' "00000000-0000-0000-0000-00000000dead"}\')).* from marts.dim_account a limit 1'
        )
    (found,) = drifts(marts, program, "dim_account").values()
    assert set(found.lacking) == {str(ACME), str(GLOBEX)}
    assert set(found.excess) == {str(ACME), "00000000-0000-0000-0000-00000000dead"}
    assert not found.is_equal


def test_what_the_lane_has_still_to_do_is_no_drift(marts: Marts, program: Program) -> None:
    with marts.connect() as owner:
        Stream(owner).commit(put("contacts.account", account_uuid=ACME, name="Acme renamed"))
        (found,) = drifts(marts, program, "dim_account").values()
        assert found.is_equal
        assert found.left_out == 2  # Acme, and Acme East below it
        owner.execute("delete from log.queue")
        (found,) = drifts(marts, program, "dim_account").values()
        assert str(ACME) in found.lacking


def test_comparing_changes_nothing_and_lets_a_build_go_on_afterwards(marts: Marts, program: Program) -> None:
    drifts(marts, program)
    with marts.superuser() as server:
        assert server.execute("select count(*) from pg_class where relname = 'rebuilt'").fetchone() == (0,)
        assert server.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone() == (0,)


def test_far_behind_nothing_is_said(marts: Marts, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MAX_WAITING", 0)
    monkeypatch.setattr(drift, "PATIENCE", 0.5)
    with marts.connect() as owner:
        Stream(owner).commit(order(GLOBEX, GLOBEX, number="SO-000009", sub_total=Decimal(1)))
        with pytest.raises(TooFarBehind, match="1 batches wait"):
            drifts(marts, program, "fct_sales_order")

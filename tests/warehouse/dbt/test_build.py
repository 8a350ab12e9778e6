"""dbt builds every model from a mirror, and every unit and data test passes."""

from __future__ import annotations

from tests.marts import Marts, dbt_target
from warehouse.compile import build


def test_every_model_builds_and_every_test_passes(marts: Marts) -> None:
    report = build(marts.dsn(), target=dbt_target("build"))
    assert set(report.states) == {"success", "pass"}, report

"""dbt builds every model from a mirror, and every unit and data test passes."""

from __future__ import annotations

from headwater.embedded.postgres import Cluster
from tests.marts import seed_report


def test_every_model_builds_and_every_test_passes(warehouse: Cluster) -> None:
    report = seed_report(warehouse)
    assert set(report.states) == {"success", "pass"}, report

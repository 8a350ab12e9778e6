"""A build stands beside landing: what the two do to each other ends by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.embedded.postgres import Cluster
from warehouse import compile as compiling
from warehouse.compile import BuildReport, DbtError, build

DEADLOCK = "dbt run failed:\non-run-start: deadlock detected"


@pytest.mark.parametrize(
    ("failures", "begun", "ends"),
    [([DEADLOCK], 2, True), ([DEADLOCK] * 9, 3, False), (["dbt run failed:\nno such column"], 1, False)],
    ids=["deadlock", "deadlocks-without-end", "mistake"],
)
def test_a_build_that_met_a_deadlock_is_begun_again(
    warehouse: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: list[str], begun: int, ends: bool
) -> None:
    attempts = 0

    def dbt(*_: Any) -> None:
        nonlocal attempts
        attempts += 1
        if failures:
            raise DbtError(failures.pop())

    monkeypatch.setattr(compiling, "_dbt", dbt)
    if ends:
        assert build(warehouse.dsn(), target=tmp_path) == BuildReport({}, ())
    else:
        with pytest.raises(DbtError):
            build(warehouse.dsn(), target=tmp_path)
    assert attempts == begun

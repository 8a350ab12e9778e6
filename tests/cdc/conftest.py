"""Each test has a database of its own in the suite's cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.embedded.postgres import Cluster
from tests.cdc.database import Database, make_database


@pytest.fixture
def database(oltp: Cluster, tmp_path: Path) -> Iterator[Database]:
    made = make_database(oltp, tmp_path / "spool")
    yield made
    made.drop()

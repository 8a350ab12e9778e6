from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.embedded.postgres import Cluster
from tests.lakes import LakeSide, lake_side


@pytest.fixture
def side(warehouse: Cluster) -> Iterator[LakeSide]:
    with lake_side(warehouse) as made:
        yield made

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.embedded.postgres import Cluster
from tests.marts import Marts, copy_of_marts


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as database:
        yield database

"""The warehouse of the installation that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.stack import Stack


@pytest.fixture(scope="module")
def warehouse(stack: Stack) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(stack.config.warehouse_url("postgres"), autocommit=True) as connection:
        yield connection

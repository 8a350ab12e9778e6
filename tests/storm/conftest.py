"""``pytest tests/storm --storm-kills=100`` (``make storm``) kills more often than a run of all tests does."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--storm-kills", type=int, default=20, help="random kills, on top of one at every point")
    parser.addoption("--storm-seed", type=int, default=20, help="decides who dies, and in what order")

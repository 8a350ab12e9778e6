"""A running installation with a small company in it, and browsers of its people."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.stack import Stack, running
from tests.web.records.company import Company, found
from tests.web.records.visitor import Visitor, entering


@pytest.fixture(scope="session")
def company(stack: Stack) -> Company:
    return found(stack)


@pytest.fixture
def somebody(chromium: Browser, company: Company) -> Iterator[Callable[..., Visitor]]:
    """Opens a browser of somebody's own, logged in: ``somebody("alice", width=360)``."""
    with entering(chromium, company.stack.url) as enter:
        yield enter


@pytest.fixture
def alice(somebody: Callable[..., Visitor]) -> Visitor:
    return somebody("alice")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """An installation that only pages' tests write to: they look at whole lists and at all that passes."""
    yield from running()

"""Pages in process over the services' databases, in a run that has a browser too."""

from __future__ import annotations

import os

import tests.bootstrap  # noqa: F401
from tests.transactional.conftest import installation, world

__all__ = ["installation", "world"]

# Playwright keeps an event loop in this thread for as long as its browser lives. Django takes that for asynchronous
# code and refuses its databases to the tests in process, which run in no loop.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

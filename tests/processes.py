"""Which tests one process runs together when several share a run (``pytest -n 2``), and which begin first."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from xdist.scheduler import LoadScopeScheduling

TOGETHER: Final = ("kafka", "web")
"""Folders, wherever they are, whose tests share something slow to start, which two processes would start twice."""

FIRST: Final = ("kafka", "web", "storm", "headwater")
"""Folders that take longest: begun last, they would leave the other processes without work."""


class ByPlace(LoadScopeScheduling):
    """A file's tests stay together, and those of the folders in ``TOGETHER``.

    pytest-xdist's own groups have no effect with pytest 9.2, which does not take the ids that xdist 3.8 gives to tests.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((name for name in TOGETHER if name in PurePosixPath(path).parts), path)


def rank(nodeid: str) -> int:
    """Where in a run a test belongs; the lower, the earlier."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parts
    return next((place for place, name in enumerate(FIRST) if name in parts), len(FIRST))

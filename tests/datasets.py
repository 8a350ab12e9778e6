"""Published data sets that tests may read: never part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder(name: str) -> Path:
    """``$HEADWATER_TEST_DATA/<name>``, by default ``../shared/data/<name>``; skips where it is absent."""
    root = Path(os.environ.get("HEADWATER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / name).is_dir():
        pytest.skip(f"{root / name} is absent: set HEADWATER_TEST_DATA to the folder that holds {name}")
    return root / name

"""Published data sets that tests may read: never part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def find(name: str) -> Path | None:
    """``$HEADWATER_TEST_DATA/<name>``, by default ``../shared/data/<name>``; None where it is absent."""
    root = Path(os.environ.get("HEADWATER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return root / name if (root / name).is_dir() else None


def folder(name: str) -> Path:
    """As ``find``, but skips the test where the folder is absent."""
    found = find(name)
    if found is None:
        pytest.skip(f"the data set {name} is absent: set HEADWATER_TEST_DATA to the folder that holds it")
    return found

from __future__ import annotations

from tests.pipelines.lake.conftest import side

__all__ = ["side"]

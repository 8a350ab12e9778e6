"""An installation as the definitions see it, without one running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.defs.plant import Plant
from pipelines.delivery import Channels
from pipelines.landing.worker import SourceDatabase
from tests.marts import hot_manifest


def make_plant(directory: Path, **given: Any) -> Plant:
    """``given`` replaces what is needed; a place that is not given fails when it is asked for."""

    def absent() -> Any:
        raise AssertionError("this test has no lake and no search")

    return Plant(
        **{
            "warehouse_dsn": "postgresql://nowhere",
            "storage_dsn": "postgresql://nowhere",
            "sources": (SourceDatabase("headwater", "postgresql://nowhere", directory),),
            "manifest": hot_manifest(),
            "hot": hot_manifest().parent,
            "dbt": directory / "dbt",
            "run": directory,
            "lake": absent,
            "search": absent,
            "channels": Channels(),
            "address": "http://dagster",
            **given,
        }
    )

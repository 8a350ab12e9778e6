"""Gives ``pipelines.defs`` this installation's databases, folders and channels of alerts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from headwater.config import Config
from headwater.landing import databases
from headwater.state import Home
from pipelines.defs.plant import Plant
from pipelines.delivery import Channels
from warehouse.compile import compile_hot

if TYPE_CHECKING:
    from search.place import Place
    from warehouse.lake.place import Lake


def plant(home: Home, config: Config) -> Plant:
    """Compiles the models first if this version of them never was. Raises DbtError, ChannelError."""
    return Plant(
        warehouse_dsn=config.warehouse_url(),
        storage_dsn=config.dagster_url(),
        sources=tuple(databases(config)),
        manifest=compile_hot(home.hot),
        hot=home.hot,
        dbt=home.dbt,
        run=home.run,
        lake=lambda: _lake(config),
        search=lambda: _search(config),
        channels=Channels.of(os.environ),
        address=f"http://127.0.0.1:{config.dagster_port}",
    )


def _lake(config: Config) -> Lake:
    from headwater.lake import lake

    return lake(config)


def _search(config: Config) -> Place:
    from headwater.searching import place

    return place(config)

"""The lake of this installation: where its files and its catalogue are, and who may read all of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from headwater.config import Config
from policy.roles import ALL, ROLES

if TYPE_CHECKING:
    from warehouse.lake.place import Lake


def lake(config: Config) -> Lake:
    """Files stand in ``HEADWATER_LAKE_DATA``, by default ``<home>/lake``."""
    from warehouse.lake.place import Lake

    home = Path(config.home)
    return Lake(
        catalogue=config.warehouse_url("wh_lake"),
        log=config.warehouse_url("wh_owner"),
        data=Path(os.environ.get("HEADWATER_LAKE_DATA") or home / "lake").resolve(),
        scratch=home / "duckdb",
    )


def lake_of_readers(config: Config) -> Lake:
    """The same lake as the read API opens it: it may read, and asks the warehouse who may see what."""
    reader = config.warehouse_url("wh_api")
    return replace(lake(config), catalogue=reader, log=reader)


def readers_of_all() -> list[str]:
    """Roles of people that may read every row of everything that is streamed."""
    return sorted(name for name, role in ROLES.items() if role.rows == ALL and {"*", "*.read"} & role.grants)


def prepare(config: Config) -> None:
    """Catalogue, tables, queue and rights. Running it again changes nothing."""
    from warehouse.lake import tables

    with psycopg.connect(config.warehouse_url("postgres"), autocommit=True) as superuser:
        tables.prepare(lake(config), superuser, readers_of_all())


def attach_line(config: Config, login: str, password: str) -> str:
    """The one line that opens the lake in DuckDB (with its extensions ducklake and postgres) for an analyst."""
    server = config.warehouse
    return (
        f"attach 'ducklake:postgres:host={server.host} port={server.port} dbname=warehouse user={login}"
        f" password={password}' as lake (metadata_schema 'lake', read_only);"
    )

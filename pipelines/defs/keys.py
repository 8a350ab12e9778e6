"""Names of assets. A key says where the thing stands: schema and name in the warehouse, service and table before it."""

from __future__ import annotations

from typing import Final

from dagster import AssetKey

CHANGE_LOG: Final = AssetKey(["log", "change_log"])
SNAPSHOT: Final = AssetKey(["log", "snapshot"])
LAKE: Final = AssetKey(["lake", "changes"])
LAKE_FILES: Final = AssetKey(["lake", "files"])
HOT_LANE: Final = AssetKey(["ops", "model_state"])


def of_relation(schema: str, name: str) -> AssetKey:
    """A mirror table or a dbt model."""
    return AssetKey([schema, name])


def of_source(mirror_schema: str, table: str) -> AssetKey:
    """The service's own table that a mirror table follows: ``contacts/account`` of ``raw_contacts.account``."""
    return AssetKey([mirror_schema.removeprefix("raw_"), table])

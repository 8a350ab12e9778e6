"""Kafka Connect schemas: what an envelope says of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SOURCE_TYPE: Final = "__debezium.source.column.type"
"""The parameter that ``column.propagate.source.type`` adds: PostgreSQL's own name of the type, in capitals."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``type`` is Connect's (``int32``, ``string``, ``array`` …), ``semantic`` the schema's name if it has
    one (``io.debezium.time.Date``); ``items`` an array's element."""

    name: str
    type: str
    semantic: str | None
    parameters: tuple[tuple[str, str], ...]
    items: Field | None = None

    def parameter(self, name: str) -> str | None:
        return next((value for key, value in self.parameters if key == name), None)


def parse_field(name: str, schema: Mapping[str, Any]) -> Field:
    """A field's schema as Connect's JsonConverter writes it."""
    items = schema.get("items")
    return Field(
        name,
        schema["type"],
        schema.get("name"),
        tuple(schema.get("parameters", {}).items()),
        None if items is None else parse_field(name, items),
    )

"""Bases of commands (what a caller asks for) and events (what a service says has happened)."""

from __future__ import annotations

from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr


def _left_out() -> None:
    return None


UNSET: Any = Field(default_factory=_left_out)
"""Default of a command's field that may be left out without being nullable; ``Command.given`` tells the two apart."""


class Command(BaseModel):
    """The input of one business verb. Unknown fields are refused and types are JSON's own (no ``"1"`` for a number)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    target_field: ClassVar[str | None] = None
    """The field that names the object acted upon; set when the command is registered."""

    def given(self, *without: str) -> dict[str, Any]:
        """The fields that the caller sent, as Python values, minus the command's target and ``without``."""
        left = {*without, self.target_field}
        return {name: getattr(self, name) for name in self.model_fields_set if name not in left}


class Event(BaseModel):
    """Something that happened to one aggregate, in past tense and in full; the body of an outbox row.

    ``schema_version`` grows when a field's meaning changes; adding an optional field keeps it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)

    type: ClassVar[str]
    aggregate: ClassVar[str]
    schema_version: ClassVar[int] = 1

    _aggregate_id: UUID = PrivateAttr()
    _aggregate_version: int = PrivateAttr()

    @property
    def aggregate_id(self) -> UUID:
        return self._aggregate_id

    @property
    def aggregate_version(self) -> int:
        return self._aggregate_version

    @classmethod
    def of(cls, row: Any) -> Self:
        """The event about ``row`` as it stands: fields by attribute, identity from ``row.pk`` and ``row.version``."""
        return cls.model_validate(row).about(row.pk, row.version)

    def about(self, aggregate_id: UUID, aggregate_version: int) -> Self:
        """Names the aggregate of an event that was built from values."""
        self._aggregate_id = aggregate_id
        self._aggregate_version = aggregate_version
        return self

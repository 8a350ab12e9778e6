"""The answer as OpenAPI describes it (``search.answer``)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

EntityName = Literal["account", "contact", "product", "order"]


class FragmentSchema(BaseModel):
    """Plain text of one field and the ranges ``[start, end]`` of its characters that answer the query."""

    field: str
    text: str
    marks: list[tuple[int, int]]


class HitSchema(BaseModel):
    entity: EntityName
    id: UUID
    number: str
    title: FragmentSchema
    subtitle: FragmentSchema
    fragments: list[FragmentSchema]
    facts: dict[str, str]


class GroupSchema(BaseModel):
    entity: EntityName
    total: int
    estimated: bool = Field(description="The engine did not count to the end")
    hits: list[HitSchema]
    after: str | None = Field(description="Continues this group")


class WatermarkSchema(BaseModel):
    """Everything that the source committed up to here can be found."""

    lsn: str | None
    committed_at: datetime | None


class AnswerSchema(BaseModel):
    """Groups of hits, best first; only what the caller may see is found, counted, completed or suggested."""

    query: str
    total: int
    groups: list[GroupSchema]
    completions: list[str]
    suggestions: list[str]
    ignored: list[str]
    missing: list[EntityName]
    watermark: dict[str, WatermarkSchema]


class SearchProblem(BaseModel):
    """Problem details (RFC 9457): why there is no answer."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]]

"""What files can be imported into: every resource that a hosted service creates in bulk, with its command's fields.

Nothing is listed here: fields, their types and what they need are read from the commands' own declarations.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from transactional.kernel.bulk import ReferenceKey
from transactional.kernel.registry import CommandSpec, commands, resource_named

TEXT, INTEGER, NUMBER, DATE, FLAG = "text", "integer", "number", "date", "flag"
COUNTRY, CURRENCY, CHOICE, REFERENCE = "country", "currency", "choice", "reference"
PLAIN_TYPES = (TEXT, INTEGER, NUMBER, DATE, FLAG, COUNTRY, CURRENCY)

REFERENCES = {
    "account_uuid": "accounts",
    "product_id": "products",
    "category_id": "product-categories",
    "owner_id": "users",
    "salesperson_id": "users",
    "team_id": "teams",
    "territory_id": "territories",
    "territory_ids": "territories",
}
"""Where a field that holds an id leads; ``parent_id`` leads to the target itself."""

_PATTERNS = {"^[A-Z]{2}$": COUNTRY, "^[A-Z]{3}$": CURRENCY}
_OF_TYPE: dict[Any, str] = {str: TEXT, int: INTEGER, Decimal: NUMBER, date: DATE, bool: FLAG, UUID: REFERENCE}


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field that a column can fill. ``many``: a list of such values; ``share``: a number between 0 and 1."""

    kind: str
    required: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    share: bool = False
    reference: str = ""


@dataclass(frozen=True)
class Target:
    """``fields`` by dotted path; ``lists`` are fields that hold one element per row of the file."""

    name: str
    spec: CommandSpec
    fields: dict[str, FieldType]
    lists: dict[str, dict[str, FieldType]]
    has_custom: bool

    @property
    def required(self) -> list[str]:
        return [name for name, kind in self.fields.items() if kind.required]

    def field(self, path: str) -> FieldType | None:
        """The type of a field; ``custom.<name>`` is text unless the mapping says otherwise."""
        if self.has_custom and path.startswith("custom.") and path.count(".") == 1:
            return FieldType(TEXT)
        return self.fields.get(path)


def targets() -> dict[str, Target]:
    """Every target by its name, which is the resource's path in the API."""
    return {_name(spec): _target(spec) for spec in commands() if spec.is_bulk}


def _name(spec: CommandSpec) -> str:
    return resource_named(spec.resource).path


@cache
def _model_fields(model: type[BaseModel], own: str) -> tuple[dict[str, FieldType], dict[str, dict[str, FieldType]]]:
    fields: dict[str, FieldType] = {}
    lists: dict[str, dict[str, FieldType]] = {}
    for name, info in model.model_fields.items():
        inner, metadata = _unwrapped(info.annotation, list(info.metadata))
        required = info.is_required()
        if get_origin(inner) is list:
            (element,) = get_args(inner)
            element, element_metadata = _unwrapped(element, [])
            if isinstance(element, type) and issubclass(element, BaseModel):
                lists[name] = _model_fields(element, own)[0]
            else:
                fields[name] = _field(name, element, element_metadata, info, own, many=True)
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            if inner is not ReferenceKey:
                nested = _model_fields(inner, own)[0]
                fields |= {f"{name}.{part}": replace(kind, required=False) for part, kind in nested.items()}
        elif inner in _OF_TYPE or get_origin(inner) is Literal:
            fields[name] = _field(name, inner, metadata, info, own, required=required)
    return fields, lists


def _field(
    name: str, kind: Any, metadata: list[Any], info: FieldInfo, own: str, *, many: bool = False, required: bool = False
) -> FieldType:
    if get_origin(kind) is Literal:
        return FieldType(CHOICE, required, many, choices=tuple(str(choice) for choice in get_args(kind)))
    plain = _OF_TYPE[kind]
    if plain == TEXT:
        patterns = [str(m.pattern) for m in metadata if isinstance(m, StringConstraints) and m.pattern]
        plain = next((_PATTERNS[pattern] for pattern in patterns if pattern in _PATTERNS), TEXT)
    bounds = {getattr(m, "le", None) for m in metadata}
    reference = (own if name == "parent_id" else REFERENCES.get(name, "")) if plain == REFERENCE else ""
    return FieldType(plain, required, many, share=plain == NUMBER and 1 in bounds, reference=reference)


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """The type inside ``Annotated`` and ``… | None``, with all constraints met on the way."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += [part for m in more for part in (m.metadata if isinstance(m, FieldInfo) else [m])]
        elif get_origin(annotation) in (Union, types.UnionType):
            inner = [part for part in get_args(annotation) if part is not type(None)]
            if len(inner) != 1:
                return annotation, metadata
            annotation = inner[0]
        else:
            return annotation, metadata


def _target(spec: CommandSpec) -> Target:
    fields, lists = _model_fields(spec.input, _name(spec))
    return Target(_name(spec), spec, fields, lists, "custom" in spec.input.model_fields)

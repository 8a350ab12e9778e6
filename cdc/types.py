"""How a source column's type lands in the warehouse: the type there, and the value's form where that differs.

The rule: a type of ``pg_catalog`` whose text form any cluster can read stays itself, with its modifier; a domain lands
as its base type; an enum, a user's range or base type, and a type that names objects of its own database (``regclass``)
as ``text``; a composite as ``jsonb``; an array as an array of what its element lands as (of composites: ``jsonb``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["plain", "text", "composite", "array"]

# Their text forms name objects of the database they come from or cannot be read back at all; and xml can be read only
# by a PostgreSQL that was built with libxml, which the embedded one is not.
_LOCAL: Final = re.compile(
    r"xml|reg[a-z]+|aclitem|gtsvector|pg_node_tree|pg_ndistinct|pg_dependencies|pg_mcv_list|pg_brin_.*"
)
_NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "real", "double precision", "numeric"})
_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DIMENSIONS: Final = re.compile(r"(\[-?\d+:-?\d+\])+=")


class MalformedLiteral(ValueError):
    """The text is not the literal of a composite or an array."""


@dataclass(frozen=True, slots=True)
class TypeShape:
    """A type seen through domains and arrays.

    ``name`` is the type in the warehouse (``numeric(10,2)``, ``text``, ``jsonb``, ``integer[]``);
    ``labels`` are an enum's; ``fields`` a composite's (name, shape); ``element`` and ``delimiter`` an array's.
    """

    kind: Kind
    name: str
    labels: tuple[str, ...] = ()
    fields: tuple[tuple[str, TypeShape], ...] = ()
    element: TypeShape | None = None
    delimiter: str = ","

    def converter(self) -> Callable[[str], str] | None:
        """What turns a value's PostgreSQL text form into the text that ``name`` accepts; None: it is that already.

        A composite becomes a JSON object like ``to_jsonb``'s, except that dates and times keep PostgreSQL's text
        form. NaN and infinities become JSON strings. A value that is not a well-formed literal of this shape becomes
        one JSON string holding the raw text, so nothing is lost and nothing stops.
        """
        if self.kind == "plain" or self.name != "jsonb":
            return None
        return self._to_jsonb

    def _to_jsonb(self, text: str) -> str:
        try:
            return _to_json(self, text)
        except MalformedLiteral:
            return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class CatalogueType:
    """One row of ``pg_type`` as ``cdc/sql/describe.sql`` reports it; ``kind`` is ``typtype``."""

    oid: int
    kind: str
    schema: str
    base: int
    base_name: str | None
    element: int
    delimiter: str
    fields: tuple[tuple[str, int, str], ...]
    labels: tuple[str, ...]

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> CatalogueType:
        return cls(
            oid=int(row["oid"]),
            kind=row["kind"],
            schema=row["schema"],
            base=int(row["base"]),
            base_name=row["base_name"],
            element=int(row["element"]),
            delimiter=row["delimiter"],
            fields=tuple((name, int(oid), type_name) for name, oid, type_name in row["fields"] or ()),
            labels=tuple(row["labels"] or ()),
        )


def resolve(oid: int, name: str, types: Mapping[int, CatalogueType]) -> TypeShape:
    """The shape of type ``oid``, written ``name`` by ``format_type`` with its modifier and pg_catalog as search path.

    ``types`` holds every type reachable from it. Raises KeyError naming an oid that is absent.
    """
    found = types[oid]
    if found.kind == "d":
        return resolve(found.base, found.base_name or "", types)
    if found.kind == "e":
        return TypeShape("text", "text", labels=found.labels)
    if found.kind == "c":
        fields = tuple((field, resolve(type_oid, type_name, types)) for field, type_oid, type_name in found.fields)
        return TypeShape("composite", "jsonb", fields=fields)
    if found.element and name.endswith("[]"):
        element = resolve(found.element, name.removesuffix("[]"), types)
        structured = element.kind == "composite"
        landed = "jsonb" if structured else f"{element.name}[]"
        return TypeShape("array", landed, element=element, delimiter=types[found.element].delimiter)
    if found.schema != "pg_catalog" or _LOCAL.fullmatch(name):
        return TypeShape("text", "text")
    return TypeShape("plain", name)


def _to_json(shape: TypeShape, text: str) -> str:
    if shape.kind == "composite":
        values = parse_composite(text)
        if len(values) != len(shape.fields):
            raise MalformedLiteral(text)
        members = (
            f"{json.dumps(name, ensure_ascii=False)}: {'null' if value is None else _to_json(field, value)}"
            for (name, field), value in zip(shape.fields, values, strict=True)
        )
        return "{" + ", ".join(members) + "}"
    if shape.kind == "array" and shape.element is not None:
        return _array_to_json(shape.element, parse_array(text, shape.delimiter))
    base = shape.name.partition("(")[0]
    if base in _NUMBERS and _JSON_NUMBER.fullmatch(text):
        return text
    if base == "boolean" and text in ("t", "f"):
        return "true" if text == "t" else "false"
    if base in ("json", "jsonb"):
        return text
    return json.dumps(text, ensure_ascii=False)


Array = Sequence["str | Array | None"]


def _array_to_json(element: TypeShape, values: Array) -> str:
    def member(value: str | Array | None) -> str:
        if value is None:
            return "null"
        return _to_json(element, value) if isinstance(value, str) else _array_to_json(element, value)

    return "[" + ", ".join(member(value) for value in values) + "]"


def parse_composite(text: str) -> list[str | None]:
    """The fields of a composite literal, ``(1,"a b",)``; an empty unquoted field is None.

    Syntax: PostgreSQL documentation, "Composite Type Input and Output Syntax". Raises MalformedLiteral.
    """
    if len(text) < 2 or text[0] != "(" or text[-1] != ")":
        raise MalformedLiteral(text)
    fields: list[str | None] = []
    pos, end = 1, len(text) - 1
    if pos == end:
        return fields
    while True:
        value: str | None
        value, pos, quoted = _word(text, pos, end, ",")
        fields.append(value if quoted or value else None)
        if pos == end:
            return fields
        pos += 1


def parse_array(text: str, delimiter: str = ",") -> Array:
    """An array literal as nested lists of text and None; explicit bounds (``[0:1]={…}``) are read over.

    Syntax: PostgreSQL documentation, "Array Input and Output Syntax". Raises MalformedLiteral.
    """
    bounds = _DIMENSIONS.match(text)
    value, pos = _array(text, bounds.end() if bounds else 0, delimiter)
    if pos != len(text):
        raise MalformedLiteral(text)
    return value


def _array(text: str, pos: int, delimiter: str) -> tuple[Array, int]:
    if text[pos : pos + 1] != "{":
        raise MalformedLiteral(text)
    values: list[str | Array | None] = []
    pos += 1
    if text[pos : pos + 1] == "}":
        return values, pos + 1
    while pos < len(text):
        if text[pos] == "{":
            nested, pos = _array(text, pos, delimiter)
            values.append(nested)
        else:
            value, pos, quoted = _word(text, pos, len(text), delimiter + "}")
            values.append(value if quoted or value.upper() != "NULL" else None)
        if text[pos : pos + 1] == "}":
            return values, pos + 1
        if text[pos : pos + 1] != delimiter:
            break
        pos += 1
    raise MalformedLiteral(text)


def _word(text: str, pos: int, end: int, stops: str) -> tuple[str, int, bool]:
    """(text of one field or element, position of the character that ends it, whether any of it was quoted)."""
    parts: list[str] = []
    quoted = inside = False
    while pos < end:
        char = text[pos]
        if char == "\\":
            pos += 1
            if pos >= end:
                raise MalformedLiteral(text)
            parts.append(text[pos])
        elif char == '"':
            if inside and text[pos + 1 : pos + 2] == '"' and pos + 1 < end:
                parts.append('"')
                pos += 1
            else:
                inside = not inside
                quoted = True
        elif not inside and char in stops:
            break
        else:
            parts.append(char)
        pos += 1
    if inside:
        raise MalformedLiteral(text)
    return "".join(parts), pos, quoted
